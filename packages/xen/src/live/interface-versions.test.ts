import { expect, test } from 'vitest'
import { domctlVersion } from './interface-versions.ts'

test('known versions have the number that their header defines', () => {
  expect(domctlVersion('4.17')).toBe(0x15)
  expect(domctlVersion('4.20')).toBe(0x17)
})

test.each(['4.14', '4.23', '5.0', 'toString'])('version %s is refused with what is supported', (version) => {
  expect(() => domctlVersion(version)).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringMatching(`4\\.17.*found ${version}`) }),
  )
})
