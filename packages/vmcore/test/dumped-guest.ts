import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { framesWithFlag, KPF, type MemoryView, openMemoryView, unpackFixture } from '@ullage/lab'
import { PfnSet } from '@ullage/pages'
import { afterAll, beforeAll } from 'vitest'
import { type DumpFormat, type DumpSpec } from './write-dump.ts'

export const PAGE = 4096

export let dir: string
export let guest: Awaited<ReturnType<typeof unpackFixture>>
export let memory: MemoryView
/** Everything but what the guest calls offline or free: unbacked frames among them are zeros, as QEMU shows them. */
export let stored: PfnSet

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ullage-vmcore-'))
  guest = await unpackFixture('virtio-v6.12-balloon')
  memory = openMemoryView(guest.regions)
  stored = PfnSet.of(memory.extents)
  for (const flag of [KPF.offline, KPF.buddy]) {
    for (const start of framesWithFlag(guest.kpageflags, flag)) stored.delete({ start, count: 1 })
  }
})

afterAll(async () => {
  memory?.[Symbol.dispose]()
  await rm(dir, { recursive: true, force: true })
})

/** Content of a frame as the guest would see it. */
export function fill(pfn: number, page: Uint8Array): void {
  if (memory.backed.has(pfn)) memory.read({ start: pfn, count: 1 }, page)
  else page.fill(0)
}

export function spec(format: DumpFormat, compression: DumpSpec['compression'] = 'zstd'): DumpSpec {
  const physBase = /NUMBER\(phys_base\)=(-?\d+)/.exec(new TextDecoder('latin1').decode(guest.elfNotes))?.[1]
  return {
    format,
    compression,
    header: {
      elfNotes: guest.elfNotes,
      physBase: BigInt(physBase ?? 0),
      uname: { sysname: 'Linux', nodename: 'guest', release: guest.uname, version: '#1', domainname: '' },
    },
    present: memory.extents,
    stored: [...stored.allRuns()],
    fill,
    batchPages: 1000,
  }
}
