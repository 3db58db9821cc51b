import { makeSyntheticGuest, openSyntheticGuest, type SyntheticGuest, syntheticArm } from '@ullage/lab'
import {
  answerBacking,
  type BackingRun,
  type GuestMemory,
  identityAddressSpace,
  type OpenGuest,
  type UnbackedReads,
} from '@ullage/offline-query'
import { endOf, type PfnRange } from '@ullage/pages'
import { describe, expect, test } from 'vitest'
import { examineGuest } from './examine-guest.ts'
import { GUEST_CLASS, HOST_STATE, hostStates } from './frame-codes.ts'
import { HostStates } from './host-states.ts'
import { inFramesOf, type SizedMemory } from './larger-frames.ts'

const SMALL_BYTES = 4096

/** Guest RAM of frames [4, 20) and [22, 35); each frame is filled with its number, and reading one without memory throws. */
const EXTENTS = [
  { name: 'low', start: 4, count: 16 },
  { name: 'high', start: 22, count: 13 },
]

async function sized(runs: readonly BackingRun[], reads: UnbackedReads = 'zeros'): Promise<SizedMemory> {
  const stateOf = (pfn: number) => runs.find((run) => pfn >= run.start && pfn < endOf(run))?.state ?? 'backed'
  const memory: GuestMemory = {
    frameBytes: SMALL_BYTES,
    extents: EXTENTS,
    notDumped: [],
    read: ({ start, count }, into) => {
      for (let i = 0; i < count; i++) {
        const pfn = start + i
        if (!EXTENTS.some((extent) => pfn >= extent.start && pfn < endOf(extent)) || stateOf(pfn) === 'unbacked') {
          throw new Error(`frame ${pfn} was touched`)
        }
        into.fill(pfn, i * SMALL_BYTES, (i + 1) * SMALL_BYTES)
      }
    },
  }
  const capabilities = { granularity: 1, snapshot: true, tellsSwapped: true, unbackedReads: reads }
  const host = await HostStates.collect(
    {
      capabilities,
      backing: (question) =>
        answerBacking(question, function* ({ start, count }: PfnRange) {
          for (let pfn = start; pfn < start + count; pfn++) yield { start: pfn, count: 1, state: stateOf(pfn) }
        }),
    },
    EXTENTS,
  )
  return inFramesOf(4 * SMALL_BYTES, { memory, host }, reads)
}

function statesOf({ memory, host }: SizedMemory): string[] {
  return memory.extents.flatMap((extent) => {
    const codes = new Uint8Array(extent.count)
    host.fill(extent, codes)
    return [...codes].map((code, i) => `${extent.start + i} ${hostStates[code]}`)
  })
}

const run = (start: number, count: number, state: BackingRun['state']): BackingRun => ({ start, count, state })

describe('frames of 16 KiB on a host that tells 4 KiB apart', () => {
  test('extents hold all they touch, and a frame that two touch once', async () => {
    const { memory } = await sized([])
    expect(memory.extents).toEqual([
      { name: 'low', start: 1, count: 4 },
      { name: 'high', start: 5, count: 4 },
    ])
  })

  test('a frame is unbacked when all its parts are; unknown goes before swapped, swapped before backed', async () => {
    const runs = [
      run(4, 4, 'unbacked'),
      run(8, 3, 'unbacked'),
      run(12, 1, 'swapped'),
      run(13, 3, 'unbacked'),
      run(18, 1, 'unknown'),
      run(19, 1, 'swapped'),
      run(22, 2, 'unbacked'),
      run(24, 8, 'backed'),
      run(32, 3, 'unbacked'),
    ]
    expect(statesOf(await sized(runs))).toEqual([
      '1 unbacked',
      '2 backed',
      '3 swapped',
      '4 unknown',
      // Frames 20 and 21 are no guest RAM, 35 neither.
      '5 unbacked',
      '6 backed',
      '7 backed',
      '8 unbacked',
    ])
  })

  test('parts without memory read as zeros and are not touched', async () => {
    const { memory } = await sized([run(9, 2, 'unbacked')])
    const into = new Uint8Array(3 * 4 * SMALL_BYTES).fill(0xee)
    memory.read({ start: 1, count: 3 }, into)
    const firsts = Array.from({ length: 12 }, (_, i) => into[i * SMALL_BYTES])
    expect(firsts).toEqual([4, 5, 6, 7, 8, 0, 0, 11, 12, 13, 14, 15])
    expect(into.includes(0xee)).toBe(false)
    const edge = new Uint8Array(4 * SMALL_BYTES).fill(0xee)
    memory.read({ start: 8, count: 1 }, edge)
    expect([0, 1, 2, 3].map((i) => edge[i * SMALL_BYTES])).toEqual([32, 33, 34, 0])
  })

  test('where unbacked memory reads as nothing, a frame that has some cannot be read', async () => {
    const { memory } = await sized([run(9, 2, 'unbacked')], 'nothing')
    const into = new Uint8Array(4 * SMALL_BYTES)
    memory.read({ start: 1, count: 1 }, into)
    expect(() => memory.read({ start: 2, count: 1 }, into)).toThrowError(/UNREADABLE|parts without memory/)
  })

  test('a frame without any memory is refused', async () => {
    const { memory } = await sized([run(8, 4, 'unbacked')])
    expect(() => memory.read({ start: 2, count: 1 }, new Uint8Array(4 * SMALL_BYTES))).toThrow('parts without memory')
  })
})

/** The guest as a host sees it that tells 4 KiB apart, with `holes` of that size. */
function inSmallFrames(guest: SyntheticGuest, elfNotes: Uint8Array, holes: ReadonlySet<number>): OpenGuest {
  const opened = openSyntheticGuest(guest, { elfNotes })
  const factor = guest.frameBytes / SMALL_BYTES
  const extents = guest.extents.map(({ start, count }) => ({
    start: start * factor,
    count: count * factor,
    name: 'ram',
  }))
  const frame = new Uint8Array(guest.frameBytes)
  const isHole = (pfn: number) => holes.has(pfn) || guest.unbacked.has(Math.floor(pfn / factor))
  return {
    ...opened,
    addressSpace: identityAddressSpace,
    memory: {
      frameBytes: SMALL_BYTES,
      extents,
      notDumped: [],
      read: ({ start, count }, into) => {
        for (let i = 0; i < count; i++) {
          const pfn = start + i
          if (isHole(pfn)) throw new Error(`frame ${pfn} was touched`)
          guest.read({ start: Math.floor(pfn / factor), count: 1 }, frame)
          const at = (pfn % factor) * SMALL_BYTES
          into.set(frame.subarray(at, at + SMALL_BYTES), i * SMALL_BYTES)
        }
      },
    },
    backing: {
      capabilities: opened.backing.capabilities,
      backing: (question) =>
        answerBacking(question, function* ({ start, count }: PfnRange) {
          for (let pfn = start; pfn < start + count; pfn++) {
            yield { start: pfn, count: 1, state: isHole(pfn) ? 'unbacked' : 'backed' }
          }
        }),
    },
  }
}

describe('a guest with pages of 64 KiB', () => {
  const made = makeSyntheticGuest({
    architecture: { ...syntheticArm({ pageShift: 16 }), sectionSizeBits: 26 },
    extents: [{ start: 0x4000, count: 2048 }],
  })
  const last = 0x4000 + 2047
  made.kernel.mark(last, { use: 'offline' })
  made.kernel.mark(last - 1, { use: 'offline' })
  made.guest.unbacked.add({ start: last, count: 1 })
  const factor = 16
  // Half of a page in use, and of one that is offline.
  const holes = new Set(
    Array.from({ length: 8 }, (_, i) => i).flatMap((i) => [(last - 2) * factor + i, (last - 1) * factor + i]),
  )
  const options = { level: 0, trust: 'guest', expectVcpus: false } as const

  test('is planned in its own pages', async () => {
    const guest = inSmallFrames(made.guest, made.kernel.note, holes)
    const { plan, memory, word } = await examineGuest(guest, { ...options, elfNotes: made.kernel.note })
    expect(word.linux?.pageBytes).toBe(65_536)
    expect([memory.frameBytes, plan.total]).toEqual([65_536, 2048])
    expect([plan.write.has(last), plan.write.has(last - 1), plan.write.has(last - 2)]).toEqual([false, false, true])
    expect(plan.counts[GUEST_CLASS.offline * hostStates.length + HOST_STATE.unbacked]).toBe(1)
    expect(plan.counts[GUEST_CLASS.offline * hostStates.length + HOST_STATE.backed]).toBe(1)
    memory.read({ start: last - 2, count: 1 }, new Uint8Array(65_536))
  })

  test('is planned in pages of the size that its notes claim when its word is not asked for', async () => {
    const guest = inSmallFrames(made.guest, made.kernel.note, holes)
    const { plan } = await examineGuest(guest, { ...options, trust: 'host', elfNotes: made.kernel.note })
    expect([plan.total, plan.zero.size + plan.write.size]).toEqual([2048, 2048])
  })

  test('is planned in what its host tells apart when its notes claim smaller pages', async () => {
    const text = Buffer.from(made.kernel.note).toString('latin1').replace('PAGESIZE=65536', 'PAGESIZE=04096')
    const guest = openSyntheticGuest(made.guest, { elfNotes: made.kernel.note })
    const { plan, memory } = await examineGuest(guest, {
      ...options,
      trust: 'host',
      elfNotes: Buffer.from(text, 'latin1'),
    })
    expect([memory.frameBytes, plan.total]).toEqual([65_536, 2048])
  })
})
