import { closeSync, fstatSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { openFileRam, openHostProcess, openProcessRam, type RamSource } from '../src/index.ts'
import { Mapper } from './mapper.ts'

const KNOB = '/proc/sys/vm/nr_hugepages'
const hugeBytes = Number(/^Hugepagesize:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) * 1024
const NEEDED = 8

/** Huge pages for a test, or why this machine gives none. They are taken out again afterwards. */
const before = readFileSync(KNOB, 'utf8').trim()
const refused = reserve()

function reserve(): string | undefined {
  if (hugeBytes === 0) return 'its kernel has no hugetlbfs'
  try {
    writeFileSync(KNOB, String(Number(before) + NEEDED))
  } catch (error) {
    return `cannot write ${KNOB}: ${error instanceof Error ? error.message : error}`
  }
  const got = Number(readFileSync(KNOB, 'utf8'))
  return got >= Number(before) + NEEDED
    ? undefined
    : `asked for ${NEEDED} huge pages more than ${before}, there are ${got}`
}

afterAll(() => {
  // What was added is taken out again: somebody else may have changed the number meanwhile.
  if (refused === undefined) writeFileSync(KNOB, String(Number(readFileSync(KNOB, 'utf8')) - NEEDED))
})

function runsOf(source: RamSource): unknown[] {
  const runs = [...source.backing({ startBytes: 0, endBytes: source.sizeBytes })]
  return runs.map((run) => [run.startBytes / hugeBytes, run.endBytes / hugeBytes, run.state])
}

/** First and last byte of each huge page. */
function edges(source: RamSource): number[][] {
  const into = new Uint8Array(source.sizeBytes)
  source.read(0, into)
  return Array.from({ length: source.sizeBytes / hugeBytes }, (_, i) => [
    into[i * hugeBytes] ?? -1,
    into[(i + 1) * hugeBytes - 1] ?? -1,
  ])
}

describe.each(refused === undefined ? ['huge pages'] : [])('%s', () => {
  test('present is backed, absent is unknown whoever wrote it, and reading all of it allocates no page', async () => {
    await using mapper = new Mapper()
    await using other = new Mapper()
    const sizeBytes = 6 * hugeBytes
    const fd = await mapper.memfd('huge', { huge: true })
    await mapper.truncate(fd, sizeBytes)
    const address = await mapper.map({ fd, sizeBytes, shared: true })
    await mapper.write(address + hugeBytes, 1, hugeBytes)
    // As a vhost-user back end does: the page is in the file, and not in the page tables of the first process.
    const path = `/proc/${mapper.pid}/fd/${fd}`
    const otherAddress = await other.map({ fd: await other.open(path), sizeBytes, shared: true })
    await other.write(otherAddress + 3 * hugeBytes, 3, hugeBytes)
    const own = openSync(path, 'r')
    using process = openHostProcess(mapper.pid)
    using source = openProcessRam(process, { addressBytes: address, sizeBytes })
    const blocks = fstatSync(own).blocks
    const free = freePages()
    expect(source.kind).toBe('hugetlbfs')
    expect(source.granularityBytes).toBe(hugeBytes)
    expect(runsOf(source)).toEqual([
      [0, 1, 'unknown'],
      [1, 2, 'backed'],
      [2, 6, 'unknown'],
    ])
    expect(edges(source)).toEqual([0, 1, 0, 3, 0, 0].map((byte) => [byte, byte]))
    expect(source.figures()).toEqual({ backedBytes: 2 * hugeBytes, residentBytes: 2 * hugeBytes })
    expect(fstatSync(own).blocks).toBe(blocks)
    expect(freePages()).toBe(free)
    // Of a part of the file only what this process has mapped is counted, and only once.
    using part = openProcessRam(process, { addressBytes: address + hugeBytes, sizeBytes: 4 * hugeBytes })
    expect(part.figures().backedBytes).toBe(hugeBytes)
    // Without the process nothing is known, and everything can be read.
    using byPath = openFileRam({ path, offsetBytes: 0, sizeBytes })
    expect(runsOf(byPath)).toEqual([[0, 6, 'unknown']])
    expect(edges(byPath)).toEqual(edges(source))
    expect(freePages()).toBe(free)
    closeSync(own)
  })

  test('pages of a private mapping come from the process, the others from the file', async () => {
    await using mapper = new Mapper()
    const sizeBytes = 3 * hugeBytes
    const fd = await mapper.memfd('huge', { huge: true })
    await mapper.truncate(fd, sizeBytes)
    const shared = await mapper.map({ fd, sizeBytes, shared: true })
    await mapper.write(shared, 1, 2 * hugeBytes)
    const address = await mapper.map({ fd, sizeBytes, shared: false })
    await mapper.write(address + hugeBytes, 2, hugeBytes)
    using process = openHostProcess(mapper.pid)
    using source = openProcessRam(process, { addressBytes: address, sizeBytes })
    const free = freePages()
    expect(runsOf(source)).toEqual([
      [0, 1, 'unknown'],
      [1, 2, 'backed'],
      [2, 3, 'unknown'],
    ])
    expect(edges(source)).toEqual([1, 2, 0].map((byte) => [byte, byte]))
    expect(freePages()).toBe(free)
  })
})

test.each(refused === undefined ? [] : [refused])('HUGE PAGES ARE NOT TESTED: %s', (why) => {
  expect(why).not.toBe('')
})

function freePages(): number {
  return Number(/^HugePages_Free:\s+(\d+)$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1])
}
