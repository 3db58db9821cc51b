import { closeSync, constants, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { linkOpenFile } from './link-open-file.ts'

/** include/uapi/asm-generic/fcntl.h: __O_TMPFILE | O_DIRECTORY. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY

test('a file without a name gets one, and never somebody else’s', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ullage-link-'))
  const fd = openSync(folder, O_TMPFILE | constants.O_RDWR, 0o600)
  try {
    writeSync(fd, 'content')
    expect(readdirSync(folder)).toEqual([])
    linkOpenFile(fd, join(folder, 'name'))
    expect(readFileSync(join(folder, 'name'), 'utf8')).toBe('content')
    expect(() => linkOpenFile(fd, join(folder, 'name'))).toThrow(expect.objectContaining({ code: 'EEXIST' }))
    expect(() => linkOpenFile(fd, join(folder, 'no', 'name'))).toThrow(expect.objectContaining({ code: 'ENOENT' }))
    expect(() => linkOpenFile(fd, 'a\0b')).toThrow(RangeError)
  } finally {
    closeSync(fd)
    rmSync(folder, { recursive: true })
  }
})
