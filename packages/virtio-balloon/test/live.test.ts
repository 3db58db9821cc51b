import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bootGuest, type LabGuest, type MemoryKind } from '@ullage/lab'
import type { OpenGuest } from '@ullage/offline-query'
import { endOf } from '@ullage/pages'
import { afterEach, describe, expect, it } from 'vitest'
import { FRAME_BYTES, openLab, readAt } from './live-fixture.ts'

const CHUNK_FRAMES = 256
const BALLOON_MIB = 100

let guest: LabGuest
afterEach(async () => {
  await guest?.[Symbol.asyncDispose]()
})

/** Bytes of QEMU's memory that are resident behind guest RAM: Rss and Swap of the mapping that holds frame 0. */
async function mappedBytes(): Promise<{ rss: number; swap: number }> {
  const address = BigInt(/is (0x[0-9a-f]+)/.exec(await guest.hmp('gpa2hva 0'))?.[1] ?? 0)
  const sum = { rss: 0, swap: 0 }
  let start = 0n
  let end = 0n
  for (const line of readFileSync(`/proc/${guest.pid}/smaps`, 'latin1').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line)
    if (range) [start, end] = [BigInt(`0x${range[1]}`), BigInt(`0x${range[2]}`)]
    const ours = start < address + BigInt(256 << 20) && end > address
    const [, name, kib] = /^(Rss|Swap): +(\d+) kB$/.exec(line) ?? []
    if (ours && name !== undefined) sum[name === 'Rss' ? 'rss' : 'swap'] += Number(kib) * 1024
  }
  return sum
}

interface Host {
  readonly allocated: readonly number[]
  readonly mapped: { readonly rss: number; readonly swap: number }
}

const hostSees = async (): Promise<Host> => ({
  allocated: guest.backedRanges().map(({ allocatedBytes }) => allocatedBytes),
  mapped: await mappedBytes(),
})

/** Reads every frame that is not unbacked, and compares a sample of it with what QEMU itself says is there. */
async function readAll(open: OpenGuest, options: { compareWithQemu: boolean }): Promise<Record<string, number>> {
  const frames = { backed: 0, swapped: 0, unbacked: 0, unknown: 0 }
  const into = new Uint8Array(CHUNK_FRAMES * FRAME_BYTES)
  const saved = join(guest.folder, 'saved')
  let chunks = 0
  for (const { start, count } of open.memory.extents) {
    for await (const run of open.backing.backing({ within: { start, count } })) {
      frames[run.state] += run.count
      if (run.state === 'unbacked') continue
      for (let at = run.start; at < endOf(run); at += CHUNK_FRAMES) {
        const range = { start: at, count: Math.min(CHUNK_FRAMES, endOf(run) - at) }
        const bytes = into.subarray(0, range.count * FRAME_BYTES)
        open.memory.read(range, bytes)
        if (!options.compareWithQemu || run.state !== 'backed' || chunks++ % 16 !== 0) continue
        await guest.qmp('pmemsave', { val: at * FRAME_BYTES, size: bytes.length, filename: saved })
        const same = Buffer.compare(readAt(saved, 0, bytes.length), bytes) === 0
        rmSync(saved)
        expect(same, `frames [${range.start}, ${endOf(range)})`).toBe(true)
      }
    }
  }
  return frames
}

const kinds: [MemoryKind, { warnings: string[]; tellsSwapped: boolean }][] = [
  ['file', { warnings: [], tellsSwapped: false }],
  ['unlinked', { warnings: [], tellsSwapped: false }],
  ['memfd', { warnings: [], tellsSwapped: false }],
  ['file-private', { warnings: ['PRIVATE_FILE'], tellsSwapped: true }],
  ['anonymous', { warnings: [], tellsSwapped: true }],
]

describe('a live, ballooned guest', () => {
  it.each(kinds)('with memory of kind %s is read without growing by a page', async (memory, expected) => {
    guest = await bootGuest({ era: 'bookworm', memMiB: 256, balloonMiB: BALLOON_MIB, maxRamBelow4gMiB: 128, memory })
    await using open = await openLab(guest)
    expect(open.identity).toEqual({ backend: 'virtio-balloon', machine: 'x86_64', kind: 'live' })
    expect(open.warnings.map(({ code }) => code)).toEqual(expected.warnings)
    expect(open.backing.capabilities).toEqual({
      granularity: 1,
      snapshot: false,
      tellsSwapped: expected.tellsSwapped,
      unbackedReads: 'zeros',
    })
    expect(open.memory.extents).toEqual([
      { start: 0, count: 32_768, name: 'ram0' },
      { start: 2 ** 20, count: 32_768, name: 'ram0' },
    ])
    expect(open.memory.notDumped.map(({ name }) => name)).toContain('pc.bios')

    await using lease = await open.pause()
    expect(lease.mode).toBe('paused')
    expect(await guest.status()).toBe('paused')
    const before = await hostSees()
    const own = await open.hostMemory()
    const frames = await readAll(open, { compareWithQemu: false })
    const notes = await open.notes()
    expect(await hostSees()).toEqual(before)
    expect(await open.hostMemory()).toEqual(own)

    expect(notes.cpus).toBe(2)
    expect(Buffer.from(notes.elfNotes).includes('OSRELEASE=')).toBe(true)
    expect(frames.unbacked).toBeGreaterThanOrEqual(BALLOON_MIB * 256)
    expect(((frames.backed ?? 0) + (frames.swapped ?? 0)) * FRAME_BYTES).toBe(own.backedBytes)
    expect(frames.unknown).toBe(0)
    for (const bytes of before.allocated) expect(own.backedBytes).toBe(bytes)
    await readAll(open, { compareWithQemu: true })
    expect(await lease.resume()).toBeGreaterThan(0)
    expect(await guest.status()).toBe('running')
  })

  it('to which memory was added since is told as it is when paused', async () => {
    const virtioMem = { sizeMiB: 256, requestedMiB: 64 }
    guest = await bootGuest({ era: 'bookworm', memMiB: 192, machine: 'pc', virtioMem })
    await using open = await openLab(guest)
    expect(open.memory.extents.map(({ name, count }) => [name, count])).toEqual([
      ['ram0', 49_152],
      ['vm0', 65_536],
    ])
    await guest.qmp('object-add', { 'qom-type': 'memory-backend-memfd', id: 'vm1', size: 128 << 20, share: true })
    await guest.qmp('device_add', { driver: 'virtio-mem-pci', id: 'vmem1', memdev: 'vm1' })
    expect(open.memory.extents).toHaveLength(2)

    await using lease = await open.pause()
    expect(lease.mode).toBe('paused')
    expect(open.memory.extents.map(({ name, count }) => [name, count])).toEqual([
      ['ram0', 49_152],
      ['vm0', 65_536],
      ['vm1', 32_768],
    ])
    const backed: number[] = []
    for (const { start, count } of open.memory.extents) {
      let frames = 0
      for await (const run of open.backing.backing({ within: { start, count } })) {
        if (run.state === 'backed') frames += run.count
      }
      backed.push(frames * FRAME_BYTES)
    }
    expect(backed).toEqual([...guest.backedRanges().map(({ allocatedBytes }) => allocatedBytes), 0])
  })

  it('is dumped by one at a time, and stays stopped when it was', async () => {
    guest = await bootGuest({ era: 'bookworm', memMiB: 128 })
    const open = await openLab(guest)
    await expect(openLab(guest)).rejects.toMatchObject({
      name: 'OfflineError',
      code: 'BUSY',
      message: expect.stringContaining(`a dump of this guest is already running (pid ${process.pid})`),
    })
    const first = await open.pause()
    await expect(open.pause()).rejects.toMatchObject({ code: 'BUSY' })
    await first[Symbol.asyncDispose]()
    expect(await guest.status()).toBe('running')

    await guest.stop()
    const lease = await open.pause()
    expect(lease.mode).toBe('stopped')
    expect(await lease.resume()).toBe(0)
    await open[Symbol.asyncDispose]()
    expect(await guest.status()).toBe('paused')

    const again = await openLab(guest)
    await again[Symbol.asyncDispose]()
  })

  it('that dies while it is paused ends with an error, in bounded time', async () => {
    guest = await bootGuest({ era: 'bookworm', memMiB: 128 })
    const open = await openLab(guest)
    const lease = await open.pause()
    process.kill(guest.pid, 'SIGKILL')
    await expect(lease.resume()).rejects.toMatchObject({ name: 'OfflineError', code: 'UNAVAILABLE' })
    await expect(open.notes()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await open[Symbol.asyncDispose]()
  })

  it('is resumed when the guest is disposed of with the lease open', async () => {
    guest = await bootGuest({ era: 'bookworm', memMiB: 128 })
    const open = await openLab(guest)
    await open.pause()
    expect(await guest.status()).toBe('paused')
    await open[Symbol.asyncDispose]()
    expect(await guest.status()).toBe('running')
  })
})
