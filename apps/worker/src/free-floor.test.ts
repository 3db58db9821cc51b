import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { FreeFloor } from './free-floor.ts'

const MIB = 1 << 20

/** A floor over a disk, that others may write to as well. */
function floorOver(disk: { free: number }, keepFreeBytes: number) {
  const looks = { asked: 0 }
  const freeBytes = async () => {
    looks.asked++
    return disk.free
  }
  return { looks, floor: new FreeFloor({ folder: '/disk', keepFreeBytes, freeBytes }) }
}

/** Writes until it is ended. Returns what is free then. */
async function fill(disk: { free: number }, floor: FreeFloor, pieceBytes: number): Promise<{ error: unknown }> {
  for (;;) {
    disk.free -= pieceBytes
    try {
      floor.wrote(pieceBytes)
    } catch (error) {
      return { error }
    }
    await delay(0)
  }
}

test('what a dump writes ends at the floor, to within one write', async () => {
  const disk = { free: 200 * MIB }
  const { floor, looks } = floorOver(disk, 50 * MIB)
  await floor.require(0)
  const { error } = await fill(disk, floor, MIB / 4)
  expect(error).toMatchObject({
    code: 'NO_SPACE',
    message: expect.stringMatching(
      /^expected the dump to leave 52428800 bytes free where \/disk is \(ULLAGE_FREE_BYTES\), found \d+ free at the last look, and \d+ bytes were written since; nothing was kept: free some space, or/,
    ),
  })
  expect(disk.free).toBeLessThan(50 * MIB)
  expect(disk.free).toBeGreaterThanOrEqual(50 * MIB - MIB / 4)
  expect(looks.asked).toBeLessThan(30)
})

test('four that write together do not pass it by more than they write between two looks at its edge', async () => {
  const disk = { free: 200 * MIB }
  const floors = [0, 1, 2, 3].map(() => floorOver(disk, 50 * MIB).floor)
  for (const floor of floors) await floor.require(0)
  await Promise.all(floors.map((floor) => fill(disk, floor, MIB / 4)))
  expect(disk.free).toBeGreaterThan(45 * MIB)
})

test('what others write counts from the next look on', async () => {
  const disk = { free: 10_000 * MIB }
  const { floor } = floorOver(disk, 100 * MIB)
  await floor.require(0)
  disk.free = 50 * MIB
  floor.wrote(64 * MIB)
  await delay(1)
  expect(() => floor.wrote(1)).toThrow(/found 52428800 free/)
})

test('nobody waits for a file system that does not answer, which bounds what is written', async () => {
  let answers = true
  const hang = Promise.withResolvers<number>()
  const freeBytes = () => (answers ? Promise.resolve(1_000 * MIB) : hang.promise)
  const floor = new FreeFloor({ folder: '/disk', keepFreeBytes: 100 * MIB, freeBytes })
  await floor.require(0)
  answers = false
  for (let written = 0; written < 900; written += 100) floor.wrote(100 * MIB)
  expect(() => floor.wrote(MIB)).toThrow(
    /found 1048576000 free at the last look, and 944766976 bytes were written since/,
  )
})

test('a file system that fails to answer ends the dump', async () => {
  const gone = Object.assign(new Error('gone'), { code: 'EIO' })
  let isThere = true
  const freeBytes = () => (isThere ? Promise.resolve(1_000 * MIB) : Promise.reject(gone))
  const floor = new FreeFloor({ folder: '/disk', keepFreeBytes: MIB, freeBytes })
  await floor.require(0)
  isThere = false
  floor.wrote(64 * MIB)
  await delay(1)
  expect(() => floor.wrote(1)).toThrow(gone)
})

test('what is known beforehand is refused beforehand', async () => {
  const { floor } = floorOver({ free: 100 }, 50)
  await floor.require(50)
  await expect(floor.require(51)).rejects.toMatchObject({
    code: 'NO_SPACE',
    message: expect.stringContaining('found 100 free at the last look, and 51 bytes are to be written there'),
  })
})

test('nobody looks where nothing is to stay free', async () => {
  const { floor, looks } = floorOver({ free: 0 }, 0)
  await floor.require(1_000)
  floor.wrote(1_000 * MIB)
  expect(looks.asked).toBe(0)
})
