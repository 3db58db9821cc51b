import { fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pageSize } from '@ullage/native'
import { afterAll, describe, expect, test } from 'vitest'
import { openHostProcess, openProcessRam } from '../src/index.ts'
import { decodePageEntry } from '../src/pagemap.ts'
import { Mapper } from './mapper.ts'
import { expectContent, expectedRuns, runsOf } from './source-assertions.ts'
import { trySwapOn } from './swap-file.ts'

const MADV_PAGEOUT = 21
const page = pageSize()
const pages = 64
const sizeBytes = pages * page
const folder = mkdtempSync('/dev/shm/ullage-swap-test-')
const swap = trySwapOn(16 << 20)

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
  if (swap.allowed) swap.off()
})

/** Pages 8 to 23 hold 8 to 23; the kernel is asked to swap 8 to 15 out until it has. */
async function pageOut(mapper: Mapper, address: number, swappedOut: () => boolean): Promise<void> {
  for (let i = 8; i < 24; i++) await mapper.write(address + i * page, i, page)
  const deadline = Date.now() + 20_000
  while (!swappedOut()) {
    if (Date.now() > deadline) throw new Error('the kernel did not swap the pages out in 20 s')
    await mapper.advise(address + 8 * page, 8 * page, MADV_PAGEOUT)
  }
}

const content = new Map(Array.from({ length: 16 }, (_, i) => [i + 8, i + 8]))
const allPages = [...content.keys()]

describe.each(swap.allowed ? ['with real swap'] : [])('%s', () => {
  test('anonymous pages that were swapped out are `swapped`, and read as what they held', async () => {
    await using mapper = new Mapper()
    const address = await mapper.map({ sizeBytes, shared: false })
    await pageOut(mapper, address, () => mapper.memoryKib('Swap') >= (8 * page) / 1024)
    using process = openHostProcess(mapper.pid)
    using source = openProcessRam(process, { addressBytes: address, sizeBytes })
    expect(runsOf(source)).toEqual([
      [0, 8, 'unbacked'],
      [8, 16, 'swapped'],
      [16, 24, 'backed'],
      [24, 64, 'unbacked'],
    ])
    expect(source.figures()).toEqual({ backedBytes: 16 * page, residentBytes: 8 * page })
    expectContent(source, content)
    // Reading brings them in, and never makes more of them.
    expect(source.figures().backedBytes).toBe(16 * page)
  })

  test('private pages of a file mapped share=off that were swapped out are `swapped`', async () => {
    await using mapper = new Mapper()
    const fd = await mapper.open(join(folder, 'private'))
    await mapper.truncate(fd, sizeBytes)
    const address = await mapper.map({ fd, sizeBytes, shared: false })
    await pageOut(mapper, address, () => mapper.memoryKib('Swap') >= (8 * page) / 1024)
    using process = openHostProcess(mapper.pid)
    using source = openProcessRam(process, { addressBytes: address, sizeBytes })
    expect(source.kind).toBe('privateFile')
    expect(runsOf(source).filter(([, , state]) => state !== 'unbacked')).toEqual([
      [8, 16, 'swapped'],
      [16, 24, 'backed'],
    ])
    expectContent(source, content)
  })

  test('shared pages that were swapped out are still data: `backed`, not empty, and no longer resident', async () => {
    await using mapper = new Mapper()
    const path = join(folder, 'shared')
    const fd = await mapper.open(path)
    await mapper.truncate(fd, sizeBytes)
    const address = await mapper.map({ fd, sizeBytes, shared: true })
    using process = openHostProcess(mapper.pid)
    using source = openProcessRam(process, { addressBytes: address, sizeBytes })
    await pageOut(mapper, address, () => source.figures().residentBytes <= 8 * page)
    const own = openSync(path, 'r')
    const before = fstatSync(own).blocks
    expect(runsOf(source)).toEqual(expectedRuns(pages, allPages))
    expect(source.figures()).toEqual({ backedBytes: 16 * page, residentBytes: 8 * page })
    expectContent(source, content)
    expect(fstatSync(own).blocks).toBe(before)
    expect(source.figures().backedBytes).toBe(16 * page)
  })
})

// Recorded from /proc/PID/pagemap of Linux 6.18 (without CAP_SYS_ADMIN, so no frame numbers), upper 32 bits.
test(`pagemap entries are decoded${swap.allowed ? '' : ` (ALL THAT IS TESTED OF SWAP, for this machine forbids it: ${swap.why})`}`, () => {
  expect(decodePageEntry(0x0000_0000)).toEqual({ present: false, swapped: false, ofFile: false, zeroPage: false })
  expect(decodePageEntry(0x8180_0000)).toEqual({ present: true, swapped: false, ofFile: false, zeroPage: false })
  expect(decodePageEntry(0xa180_0000)).toEqual({ present: true, swapped: false, ofFile: true, zeroPage: false })
  expect(decodePageEntry(0x4080_0000)).toEqual({ present: false, swapped: true, ofFile: false, zeroPage: false })
})
