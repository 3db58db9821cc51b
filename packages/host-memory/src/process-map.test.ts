import { expect, test } from 'vitest'
import { checkStillMapped, findMapping, parseProcessMap } from './process-map.ts'

const maps = `7f0000000000-7f0000100000 rw-s 00000000 00:01 1234                       /dev/shm/ram with (deleted) in it
7f0000100000-7f0000200000 r--s 00100000 00:01 1234                       /dev/shm/ram with (deleted) in it
7f0000200000-7f0000300000 rw-s 00300000 00:01 1234                       /dev/shm/ram with (deleted) in it
7f0000300000-7f0000400000 rw-p 00000000 00:00 0
7f0000400000-7f0000500000 ---p 00000000 00:00 0
7f0000500000-7f0000600000 rw-p 00000000 00:00 0                          [heap]
7f0000700000-7f0000800000 rw-s 00000000 00:01 77                         /memfd:a\\012b (deleted)
7f0000800000-7f0000900000 rw-p 00000000 00:01 77                         /memfd:a\\012b (deleted)
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`

test('areas are read with their file, its offset and their flags', () => {
  const areas = parseProcessMap(maps)
  expect(areas.length).toBe(8)
  expect(areas[1]).toEqual({
    startBytes: 0x7f0000100000,
    endBytes: 0x7f0000200000,
    readable: true,
    writable: false,
    shared: true,
    label: '/dev/shm/ram with (deleted) in it',
    file: {
      major: 0,
      minor: 1,
      inode: 1234n,
      offsetBytes: 0x100000,
      path: '/dev/shm/ram with (deleted) in it',
      deleted: false,
    },
  })
  expect(areas[3]?.file).toBeUndefined()
  expect(areas[4]).toMatchObject({ readable: false, writable: false, shared: false, label: '' })
  expect(areas[6]?.file).toMatchObject({ path: '/memfd:a\nb', deleted: true })
  expect(() => parseProcessMap('not a map\n')).toThrow('not a line of /proc/PID/maps')
})

test('a mapping may be made of several areas, when file, offset and sharing go on', () => {
  const areas = parseProcessMap(maps)
  const start = 0x7f0000000000
  const mib = 2 ** 20
  expect(findMapping(areas, start, 2 * mib)).toMatchObject({ startBytes: start, endBytes: start + 2 * mib })
  expect(findMapping(areas, start + 4096, mib)?.file?.offsetBytes).toBe(4096)
  expect(findMapping(areas, start + mib + 4096, 4096)?.file?.offsetBytes).toBe(mib + 4096)
  // The third area shows another part of the file; the fourth is anonymous; behind the sixth is nothing.
  expect(findMapping(areas, start, 3 * mib)).toBeUndefined()
  expect(findMapping(areas, start + 2 * mib, 2 * mib)).toBeUndefined()
  expect(findMapping(areas, start + 3 * mib, 3 * mib)).toMatchObject({ endBytes: start + 6 * mib })
  expect(findMapping(areas, start + 3 * mib, 4 * mib)).toBeUndefined()
  expect(findMapping(areas, start + 6 * mib, mib)).toBeUndefined()
  // Shared and private views of one file are not one mapping.
  expect(findMapping(areas, start + 7 * mib, 2 * mib)).toBeUndefined()
  expect(findMapping(areas, start - 4096, 4096)).toBeUndefined()
})

test('what is mapped otherwise than before is gone', () => {
  const areas = parseProcessMap(maps)
  const mapping = findMapping(areas, 0x7f0000300000, 0x100000)
  if (!mapping) throw new Error('the area is there')
  checkStillMapped(areas, mapping, 'ram')
  const replaced = parseProcessMap(maps.replace('00:00 0\n', '00:01 55 /other\n'))
  expect(() => checkStillMapped(replaced, mapping, 'ram')).toThrow(expect.objectContaining({ code: 'GONE' }))
  expect(() => checkStillMapped([], mapping, 'ram')).toThrow('ram is no longer mapped as it was')
})
