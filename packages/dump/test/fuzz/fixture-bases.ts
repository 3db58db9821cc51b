import { FIXTURE_NAMES, openMemoryView, unpackFixture } from '@ullage/lab'
import { readElfNotes } from '@ullage/layout'
import { type GuestView, openLinuxGuest } from '@ullage/linux-guest'
import { endOf, PfnSet } from '@ullage/pages'
import { type FuzzBase, makeBase } from './fuzz-base.ts'

/** Kept guests, shrunk: only what a kernel is found by and what its frames are told by has its content. */
export async function fixtureBases(): Promise<FuzzBase[]> {
  return Promise.all(FIXTURE_NAMES.map((name) => fixtureBase(name)))
}

async function fixtureBase(name: (typeof FIXTURE_NAMES)[number]): Promise<FuzzBase> {
  const fixture = await unpackFixture(name)
  using memory = openMemoryView(fixture.regions)
  const read = new PfnSet()
  const view: GuestView = {
    frameBytes: memory.frameBytes,
    machine: memory.machine,
    extents: memory.extents,
    toPfn: (gfn) => memory.toPfn(gfn),
    tryRead: (range, into) => {
      const done = memory.tryRead(range, into)
      if (done) read.add(range)
      return done
    },
  }
  const linux = await openLinuxGuest(view, { elfNotes: fixture.elfNotes, search: false })
  const metadata = new PfnSet()
  const codes = new Uint8Array(linux.sectionFrames)
  for (const run of read.allRuns()) metadata.add(run)
  const before = [...read.allRuns()]
  for (const run of before) read.delete(run)
  for (const extent of memory.extents) {
    for (let start = extent.start; start < endOf(extent); start += codes.length) {
      linux.classify({ start, count: Math.min(codes.length, endOf(extent) - start) }, codes)
    }
  }
  const structPages = [...read.allRuns()].filter(({ count }) => count >= 8)
  const tables = [...metadata.allRuns(), ...read.allRuns()]
    .filter(({ count }) => count < 8)
    .flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i))
  const text = linux.vmcoreinfo.text
  const vmcoreinfoPfn = findPage(memory, text)
  const kept = [
    ...metadata.allRuns(),
    ...read.allRuns(),
    ...(vmcoreinfoPfn === undefined ? [] : [{ start: vmcoreinfoPfn, count: 1 }]),
  ]
  return makeBase({
    name,
    machine: memory.machine,
    frameBytes: memory.frameBytes,
    extents: memory.extents,
    ...splitNotes(fixture.elfNotes),
    kept: kept.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i)),
    isBacked: (pfn) => memory.backed.has(pfn),
    read: (pfn, into) => memory.read({ start: pfn, count: 1 }, into),
    targets: { structPages, tables, sections: tables, vmcoreinfoPfn, structPageBytes: 64, vmcoreinfo: text },
  })
}

function findPage(memory: ReturnType<typeof openMemoryView>, text: string): number | undefined {
  const wanted = new TextEncoder().encode(text.slice(0, 200))
  const page = new Uint8Array(memory.frameBytes)
  for (const run of memory.backed.allRuns()) {
    for (let pfn = run.start; pfn < endOf(run); pfn++) {
      memory.read({ start: pfn, count: 1 }, page)
      if (wanted.every((byte, i) => page[i] === byte)) return pfn
    }
  }
  return undefined
}

/** Notes before the one of VMCOREINFO, and that one. */
function splitNotes(notes: Uint8Array): { vcpuNotes: Uint8Array; vmcoreinfoNote: Uint8Array } {
  for (const note of readElfNotes(notes)) {
    if (note.name !== 'VMCOREINFO') continue
    return { vcpuNotes: notes.slice(0, note.position), vmcoreinfoNote: notes.slice(note.position) }
  }
  throw new Error('the fixture has no VMCOREINFO note')
}
