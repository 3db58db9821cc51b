import { closeSync, openSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readFully } from './read-fully.ts'

test('what the kernel holds and cannot give is UNREADABLE, with the offset in the source', () => {
  // Nothing is ever mapped at address 0: /proc/PID/mem answers EIO, as it does for a poisoned page.
  const fd = openSync('/proc/self/mem', 'r')
  try {
    expect(() => readFully({ fd, about: 'ram0', baseBytes: 0 }, 12_288, new Uint8Array(100))).toThrow(
      expect.objectContaining({
        code: 'UNREADABLE',
        offsetBytes: 12_288,
        message: expect.stringContaining('byte 12288 of ram0 cannot be read (EIO)'),
      }),
    )
  } finally {
    closeSync(fd)
  }
})

test('what ends too early is GONE with the offset of the first missing byte', () => {
  const fd = openSync('/proc/self/comm', 'r')
  try {
    const into = new Uint8Array(1000)
    let thrown: unknown
    try {
      readFully({ fd, about: 'comm', baseBytes: 1 }, 0, into)
    } catch (error) {
      thrown = error
    }
    const length = into.indexOf(0)
    expect(length).toBeGreaterThan(0)
    expect(thrown).toMatchObject({ code: 'GONE', offsetBytes: length })
  } finally {
    closeSync(fd)
  }
})
