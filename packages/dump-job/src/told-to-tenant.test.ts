import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dumpFailure } from './dump-failure.ts'
import { failureForTenant, toldToTenant, withoutPlaces } from './told-to-tenant.ts'

test.each([
  ['expected a qmp greeting at /run/vm/web 1.qmp, found silence', 'expected a qmp greeting at …'],
  ['3 frames in /srv/guests of acme/ranges.json are in no region', '3 frames in …'],
  ['cannot open "/a b/c d"', 'cannot open …'],
  ['connect ECONNREFUSED 10.0.0.5:9000', 'connect ECONNREFUSED …'],
  ['connect ECONNREFUSED fd00::5:9000', 'connect ECONNREFUSED …'],
  ['getaddrinfo of minio:9000 failed', 'getaddrinfo of …'],
  ['object 9f/vmcore is cut off', 'object …'],
  ['see unix:/run/x.sock', 'see …'],
  ['frame 512 cannot be read: expected OFFSET(page.flags), found 6.12.0 at 0x1000', undefined],
  ['it ran until 2026-11-28T10:30:44.000Z', undefined],
])('%j names no place', (text, told = text) => expect(withoutPlaces(text)).toBe(told))

test('a text that begins with a place is not told at all', () => {
  expect(withoutPlaces('/etc/ullage/guests/web-1.json: expected JSON')).toBeUndefined()
})

test('a failure of the place of artifacts is told by its code alone', () => {
  const message = 'bucket dumps-of-acme at store refused it: NoSuchBucket'
  const told = failureForTenant({ code: 'STORE_REFUSED', message })
  expect(told.code).toBe('STORE_REFUSED')
  expect(told.message).toMatch(/^the place of artifacts refused it; ask who runs this service/)
})

test('what is of the guest stays, and so does what failed first', () => {
  const message =
    'frame 512 could not be read; first attempt: GUEST_BUSY: another client holds the monitor: /run/vm/web-1.qmp'
  expect(failureForTenant({ code: 'MEMORY_UNREADABLE', message }).message).toBe(
    "some of the guest's memory cannot be read: frame 512 could not be read; first attempt: GUEST_BUSY: another dump of the " +
      'guest, or something else, holds it; post it again in some minutes; if it stays so, ask who runs this service; its log has more',
  )
})

test('a code of a later worker is told with a sentence', () => {
  expect(failureForTenant({ code: 'NEWS', message: '/srv/x' }).message).toMatch(/^the host could not do it; ask who/)
  expect(failureForTenant({ code: 'constructor', message: 'x' }).message).toMatch(/^the host could not do it; /)
})

test('a report keeps its figures and its own words', () => {
  const report = {
    schema: 'ullage.report/1',
    guest: { backend: 'hyperv', kernel: '5.4.0.1-x/y', later: 'read from /srv/a' },
    warnings: [
      { code: 'DM_OUTSIDE_RAM', text: '3 frames in /srv/a.json are in no region' },
      { code: 'LIVE', text: 'the guest ran' },
      { code: 'ODD', text: '/srv/a' },
    ],
    later: ['/srv/b', 7, null],
  }
  expect(toldToTenant(report)).toEqual({
    schema: 'ullage.report/1',
    guest: { backend: 'hyperv', kernel: '5.4.0.1-x/y', later: 'read from …' },
    warnings: [
      { code: 'DM_OUTSIDE_RAM', text: '3 frames in …' },
      { code: 'LIVE', text: 'the guest ran' },
      { code: 'ODD', text: 'who runs this service can read what it says' },
    ],
    later: ['who runs this service can read what it says', 7, null],
  })
})

test("the API's own addresses are told, in whatever they stand", () => {
  const dump = { links: { self: '/v1/dumps/1' }, guest: 'web-1', failure: { code: 'GONE', message: 'at /run/x' } }
  expect(toldToTenant({ items: [dump] })).toEqual({
    items: [
      {
        links: { self: '/v1/dumps/1' },
        guest: 'web-1',
        failure: expect.objectContaining({ code: 'GONE', message: expect.not.stringContaining('/run') }),
      },
    ],
  })
})

test('whatever a host says, a tenant reads a failure that fits the schema, and no path', () => {
  const path = fc.array(fc.stringMatching(/^[\w .,:;-]{1,12}$/), { minLength: 1 }).map((parts) => `/${parts.join('/')}`)
  const code = fc.constantFrom('INVALID', 'CORRUPT', 'NO_SPACE', 'MEMORY_UNREADABLE', 'STORE_REFUSED', 'LATER')
  fc.assert(
    fc.property(code, fc.string(), path, fc.string({ maxLength: 5_000 }), (code, before, path, after) => {
      const told = failureForTenant({ code, message: `${before} ${path}${after}` })
      expect(dumpFailure.safeParse(told).success).toBe(true)
      expect(told.message).not.toContain('/')
    }),
  )
})
