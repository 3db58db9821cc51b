import { readFileSync, writeFileSync } from 'node:fs'
import { bootGuest } from '@ullage/lab'
import { endOf } from '@ullage/pages'
import { describe, expect, it } from 'vitest'
import { FRAME_BYTES, openLab } from './live-fixture.ts'

const KNOB = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages'
const HUGE_FRAMES = 512
const MEMORY_MIB = 256

/** Why this host gives no huge pages, or undefined. */
function refusal(): string | undefined {
  try {
    const before = readFileSync(KNOB, 'utf8').trim()
    const wanted = Number(before) + MEMORY_MIB / 2
    writeFileSync(KNOB, `${wanted}`)
    const got = Number(readFileSync(KNOB, 'utf8'))
    writeFileSync(KNOB, before)
    return got >= wanted ? undefined : `of ${wanted} huge pages this host has ${got}`
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const refused = refusal()

it.each(refused === undefined ? [] : [refused])('cannot be tested with huge pages on this host: %s', (reason) => {
  expect(reason).not.toBe('')
})

describe.each(refused === undefined ? ['huge pages'] : [])('a live guest on %s', () => {
  it('has pages that QEMU mapped backed, all others unknown, and all are read without growing', async () => {
    await using guest = await bootGuest({ era: 'bookworm', memMiB: MEMORY_MIB, balloonMiB: 100, memory: 'hugetlb' })
    await using open = await openLab(guest)
    expect(open.warnings.map(({ code }) => code)).toEqual(['HUGE_PAGES'])
    expect(open.backing.capabilities).toMatchObject({ granularity: HUGE_FRAMES, unbackedReads: 'zeros' })
    await using lease = await open.pause()
    expect(lease.mode).toBe('paused')
    const before = guest.backedRanges()[0]?.allocatedBytes ?? 0
    expect(before).toBeGreaterThan(0)
    const frames = { backed: 0, swapped: 0, unbacked: 0, unknown: 0 }
    for (const { start, count } of open.memory.extents) {
      for await (const run of open.backing.backing({ within: { start, count } })) {
        frames[run.state] += run.count
        for (let at = run.start; at < endOf(run); at += HUGE_FRAMES) {
          const range = { start: at, count: Math.min(HUGE_FRAMES, endOf(run) - at) }
          open.memory.read(range, new Uint8Array(range.count * FRAME_BYTES))
        }
      }
    }
    const notes = await open.notes()
    expect(notes.cpus).toBe(2)
    expect(guest.backedRanges()[0]?.allocatedBytes).toBe(before)
    expect(await open.hostMemory()).toEqual({ backedBytes: before, residentBytes: before })
    expect(frames.unbacked + frames.swapped).toBe(0)
    expect(frames.backed * FRAME_BYTES).toBe(before)
    expect(frames.backed + frames.unknown).toBe(MEMORY_MIB * 256)
  })
})
