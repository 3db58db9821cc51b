import { expect, test } from 'vitest'
import type { SpaceLeft, SpaceNeed } from './child-protocol.ts'
import { DumpSpace, type DumpSpaceOptions } from './dump-space.ts'

const MIB = 1 << 20
/** Of the encrypted form, its header, and of each chunk its tag. */
const sealed = (bytes: number) => 65_552 + bytes + 16 * Math.max(1, Math.ceil(bytes / 65_536))

function spaceOf(delivery: DumpSpaceOptions['delivery']) {
  const needs: SpaceNeed[][] = []
  const left: SpaceLeft[][] = []
  const space = new DumpSpace({
    output: '/spool/a/vmcore',
    delivery,
    keepFreeBytes: 0,
    ask: async (need) => void needs.push(need),
    tell: (told) => void left.push(told),
  })
  return { space, needs, left }
}

test('a dump that is written where it stays needs that once', async () => {
  const { space, needs, left } = spaceOf({ kind: 'inPlace' })
  await space.admit({ atLeastBytes: 1, atMostBytes: 1_000 * MIB })
  expect(needs).toEqual([[{ folder: '/spool/a', atLeastBytes: 1, atMostBytes: 1_000 * MIB }]])
  const follower = space.follower(undefined)
  // It turned out to be less once the guest stood still.
  follower.begin({ path: '/proc/self/fd/9', atMostBytes: 900 * MIB })
  for (let at = 0; at < 200; at += 10) follower.wrote(at * MIB, 10 * MIB)
  space.written()
  await space.store()
  expect(left.map(([first]) => (first?.bytes ?? 0) / MIB)).toEqual([900, 830, 760, 0])
  expect(left.flat().every(({ folder }) => folder === '/spool/a')).toBe(true)
})

test('one that is encrypted needs room for its encrypted form besides, until that is written', async () => {
  const sealing = { header: '', dataKey: '' }
  const { space, needs, left } = spaceOf({ kind: 'seal', path: '/kept/a/vmcore', sealing })
  await space.admit({ atLeastBytes: 100, atMostBytes: MIB })
  expect(needs).toEqual([
    [
      { folder: '/spool/a', atLeastBytes: 100, atMostBytes: MIB },
      { folder: '/kept/a', atLeastBytes: sealed(100), atMostBytes: sealed(MIB) },
    ],
  ])
  const follower = space.follower(undefined)
  follower.begin({ path: '', atMostBytes: MIB })
  // A hole in the file is none in its encrypted form.
  follower.wrote(300_000, 1_000)
  await space.store()
  space.stored(100_000)
  space.stored(sealed(301_000))
  expect(left).toEqual(
    [
      [MIB, sealed(MIB)],
      [0, sealed(301_000)],
      [0, sealed(301_000) - 100_000],
      [0, 0],
    ].map(([spool, kept]) => [
      { folder: '/spool/a', bytes: spool },
      { folder: '/kept/a', bytes: kept },
    ]),
  )
})

test('whoever takes the file away meanwhile is told as well', () => {
  const { space } = spaceOf({ kind: 'inPlace' })
  const told: unknown[] = []
  const follower = space.follower({
    takesEarly: true,
    begin: ({ atMostBytes }) => void told.push(atMostBytes),
    wrote: (position, bytes) => void told.push([position, bytes]),
  })
  follower.begin({ path: '', atMostBytes: 7 })
  follower.wrote(1, 2)
  expect(told).toEqual([7, [1, 2]])
})
