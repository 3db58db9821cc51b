import { FRAME } from './fuzz-base.ts'
import type { FuzzGuest } from './fuzz-guest.ts'
import { changeVmcoreinfo, encodeNote } from './mutate-vmcoreinfo.ts'
import type { Random } from './random.ts'

/** Values at edges of what fields can hold. */
const EDGES: readonly bigint[] = [
  0n,
  1n,
  2n,
  3n,
  63n,
  64n,
  200n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  1n << 32n,
  (1n << 52n) - 1n,
  0x000f_ffff_ffff_f000n,
  0x7fff_ffff_ffff_ffffn,
  1n << 63n,
  (1n << 64n) - 1n,
  0xffff_8000_0000_0000n,
  0xffff_ffff_8000_0000n,
  0xffff_ffff_ffff_f000n,
]

/** Words of `_mapcount` that mean something in some era. */
const TYPE_WORDS: readonly number[] = [
  -1, 0, 1, -2, -128, -129, -257, -513, -2049, -4097, -1_073_741_825, -536_870_913, -268_435_456, -251_658_240,
  -234_881_025, -201_326_592, -184_549_376, -167_772_160, -150_994_944, -134_217_728, 0x7fff_ffff, -0x8000_0000,
]

/** Where the word of `_mapcount` and the fields around it are, in words of four bytes. */
const FIELD_WORDS: readonly number[] = [0, 1, 2, 3, 4, 6, 7, 10, 11, 12, 13]

type Mutation = (guest: FuzzGuest, random: Random) => void

/** One word that points somewhere: into guest RAM, to what else was changed, around its end, or anywhere. */
function pointer(guest: FuzzGuest, random: Random): bigint {
  const { base } = guest
  const shift = BigInt(Math.log2(base.frameBytes))
  const anyPfn = (): bigint => BigInt(random.below(base.states.length + 3))
  const kernelStart = base.machine === 'x86_64' ? 0xffff_8880_0000_0000n : 0xffff_0000_0000_0000n
  switch (random.below(6)) {
    case 0:
      return random.u64()
    case 1:
      return random.pick(EDGES)
    case 2:
      return (BigInt(random.pick(base.targets.tables)) << shift) | BigInt(random.below(4096))
    case 3:
      return kernelStart + (anyPfn() << shift) + BigInt(random.below(64) * 8)
    case 4:
      return 0xffff_ea00_0000_0000n + BigInt(random.below(base.states.length) * 64 + random.below(2))
    default:
      return (anyPfn() << shift) | BigInt(random.pick([0x3, 0x63, 0x67, 0x83, 0xe3, 0x701, 0x703, 0x1, 0x0]))
  }
}

function writeWord(guest: FuzzGuest, pfn: number, at: number, value: bigint): void {
  const frame = guest.frame(pfn)
  if (frame) new DataView(frame.buffer).setBigUint64(at, BigInt.asUintN(64, value), true)
}

/** An entry of a table: gone, pointing back or away, of another kind, or with bits changed. */
const pageTable: Mutation = (guest, random) => {
  const { frameBytes, targets } = guest.base
  const table = random.pick(targets.tables)
  const frame = guest.frame(table)
  if (!frame) return
  const view = new DataView(frame.buffer)
  const used: number[] = []
  for (let at = 0; at < frameBytes; at += 8) if (view.getBigUint64(at, true) !== 0n) used.push(at)
  const at = used.length > 0 && !random.oneIn(4) ? random.pick(used) : random.below(frameBytes / 8) * 8
  const old = view.getBigUint64(at, true)
  switch (random.below(5)) {
    case 0:
      return view.setBigUint64(at, 0n, true)
    case 1:
      return view.setBigUint64(at, old ^ (1n << BigInt(random.below(64))), true)
    case 2: {
      // A loop: the entry points to a table, with the bits it had.
      const to = BigInt(random.pick(targets.tables)) * BigInt(frameBytes)
      return view.setBigUint64(at, (old & 0xfffn) | to | 3n, true)
    }
    case 3:
      // The whole table points there.
      for (let entry = 0; entry < frameBytes; entry += 8) view.setBigUint64(entry, pointer(guest, random), true)
      return undefined
    default:
      return view.setBigUint64(at, pointer(guest, random), true)
  }
}

const sectionTable: Mutation = (guest, random) => {
  const { frameBytes, targets } = guest.base
  const frame = guest.frame(random.pick(targets.sections))
  if (!frame) return
  const view = new DataView(frame.buffer)
  const used: number[] = []
  for (let at = 0; at < frameBytes; at += 8) if (view.getBigUint64(at, true) !== 0n) used.push(at)
  const at = used.length > 0 && !random.oneIn(4) ? random.pick(used) : random.below(frameBytes / 8) * 8
  const old = view.getBigUint64(at, true)
  switch (random.below(6)) {
    case 0:
      return view.setBigUint64(at, 0n, true)
    case 1:
      return view.setBigUint64(at, old ^ BigInt(random.below(64)), true)
    case 2:
      // Overlapping or skewed: a map some bytes or pages off.
      return view.setBigUint64(
        at,
        BigInt.asUintN(64, old + BigInt((random.below(8193) - 4096) * random.pick([1, 4, 64, 4096]))),
        true,
      )
    case 3:
      // The same as another section's.
      return view.setBigUint64(at, used.length > 0 ? view.getBigUint64(random.pick(used), true) : random.u64(), true)
    default:
      return view.setBigUint64(at, pointer(guest, random) | BigInt(random.below(64)), true)
  }
}

/** Fields of some struct pages that follow each other or lie anywhere. */
const structPages: Mutation = (guest, random) => {
  const { frameBytes, targets } = guest.base
  const range = random.pick(targets.structPages)
  const bytes = targets.structPageBytes
  const total = Math.floor((range.count * frameBytes) / bytes)
  const first = random.below(total)
  const count = random.oneIn(3) ? 1 + random.below(64) : 1
  const word = random.pick(FIELD_WORDS)
  const value = random.pick([
    () => random.u32(),
    () => random.pick(TYPE_WORDS) >>> 0,
    () => Number(random.pick(EDGES) & 0xffff_ffffn),
  ])
  const same = value()
  for (let i = 0; i < count; i++) {
    const at = ((first + i) % total) * bytes + word * 4
    const frame = guest.frame(range.start + Math.floor(at / frameBytes))
    if (!frame) continue
    const view = new DataView(frame.buffer)
    const inFrame = at % frameBytes
    if (random.oneIn(4)) view.setUint32(inFrame, view.getUint32(inFrame, true) ^ (1 << random.below(32)), true)
    else view.setUint32(inFrame, random.oneIn(2) ? same : value(), true)
  }
}

/** A block or huge page that claims any order, with the marks of its kind. */
const orders: Mutation = (guest, random) => {
  const { frameBytes, targets } = guest.base
  const range = random.pick(targets.structPages)
  const bytes = targets.structPageBytes
  const at = random.below(Math.floor((range.count * frameBytes) / bytes) - 2) * bytes
  const order = random.pick([0n, 1n, 9n, 10n, 11n, 20n, 21n, 31n, 32n, 63n, 200n, 255n, (1n << 64n) - 1n, 1n << 32n])
  const put = (offset: number, value: bigint): void =>
    writeWord(guest, range.start + Math.floor((at + offset) / frameBytes), ((at + offset) % frameBytes) & ~7, value)
  if (random.oneIn(2)) {
    put(40, order)
    put(48, BigInt.asUintN(32, BigInt(random.pick(TYPE_WORDS))))
    return
  }
  put(0, random.pick([0x40n, 0x1_0000n, 0x8000n, 0x1_8040n]))
  put(bytes, order)
  put(bytes + 16, (order << 8n) | 2n)
}

const anyBits: Mutation = (guest, random) => {
  const { base } = guest
  const places = [
    ...base.targets.tables,
    ...base.targets.sections,
    ...base.targets.structPages.map(({ start, count }) => start + random.below(count)),
  ]
  const frame = guest.frame(random.pick(places))
  if (!frame) return
  for (let i = 1 + random.below(16); i > 0; i--) {
    const at = random.below(frame.length)
    frame[at] = (frame[at] as number) ^ (1 << random.below(8))
  }
}

/** Frames that the host no longer backs: tables, sections, struct pages, or a stretch of anything. */
const unbacked: Mutation = (guest, random) => {
  const { targets } = guest.base
  const from = random.pick([
    () => random.pick(targets.tables),
    () => random.pick(targets.sections),
    () => {
      const range = random.pick(targets.structPages)
      return range.start + random.below(range.count)
    },
    () => random.below(guest.states.length),
  ])()
  const count = random.oneIn(3) ? 1 + random.below(512) : 1
  for (let pfn = from; pfn < from + count; pfn++) {
    if (guest.states[pfn] === FRAME.backed) guest.states[pfn] = FRAME.unbacked
  }
}

/** VMCOREINFO in the page, in the note, or in both. */
const vmcoreinfo: Mutation = (guest, random) => {
  const { targets } = guest.base
  const text = changeVmcoreinfo(targets.vmcoreinfo, random)
  const bytes = new TextEncoder().encode(text)
  const where = random.below(3)
  if (where !== 0) guest.notes = encodeNote(guest.base.vcpuNotes, bytes)
  if (where !== 1 && targets.vmcoreinfoPfn !== undefined) fillFrame(guest, targets.vmcoreinfoPfn, bytes)
}

/** Pages that look like VMCOREINFO, all over: some are as the real one, some changed. */
const candidates: Mutation = (guest, random) => {
  const { targets } = guest.base
  for (let i = 1 + random.below(32); i > 0; i--) {
    const text = random.oneIn(2) ? targets.vmcoreinfo : changeVmcoreinfo(targets.vmcoreinfo, random)
    fillFrame(guest, random.below(guest.states.length), new TextEncoder().encode(text))
  }
}

const notes: Mutation = (guest, random) => {
  const changed = guest.notes.slice(0, random.oneIn(3) ? random.below(guest.notes.length + 1) : guest.notes.length)
  for (let i = random.below(8); i > 0 && changed.length > 0; i--) {
    const at = random.oneIn(2) ? random.below(Math.min(64, changed.length)) : random.below(changed.length)
    changed[at] = random.oneIn(2) ? random.u32() & 0xff : (changed[at] as number) ^ (1 << random.below(8))
  }
  guest.notes = changed
}

function fillFrame(guest: FuzzGuest, pfn: number, bytes: Uint8Array): void {
  const frame = guest.frame(pfn)
  if (!frame) return
  frame.fill(0)
  frame.set(bytes.subarray(0, frame.length))
}

/** By how often they are chosen. */
const MUTATIONS: readonly (readonly [string, Mutation])[] = [
  ['struct pages', structPages],
  ['struct pages', structPages],
  ['orders', orders],
  ['page table', pageTable],
  ['page table', pageTable],
  ['section table', sectionTable],
  ['section table', sectionTable],
  ['vmcoreinfo', vmcoreinfo],
  ['vmcoreinfo', vmcoreinfo],
  ['bits', anyBits],
  ['unbacked', unbacked],
  ['candidates', candidates],
  ['notes', notes],
]

/** Changes a guest in one way or several. Returns the names of what was done. */
export function mutate(guest: FuzzGuest, random: Random): string[] {
  const { base } = guest
  // Without VMCOREINFO in the notes all of memory is searched, which takes ten times as long.
  const both = (): Uint8Array => encodeNote(base.vcpuNotes, base.vmcoreinfoNote, true)
  const choices = [() => base.vmcoreinfoNote.slice(), () => base.vcpuNotes.slice(), () => new Uint8Array()]
  guest.notes = (random.below(16) < choices.length ? random.pick(choices) : both)()
  const names: string[] = []
  for (let i = random.oneIn(2) ? 1 : 1 + random.below(12); i > 0; i--) {
    const [name, change] = random.pick(MUTATIONS)
    change(guest, random)
    names.push(name)
  }
  return names
}
