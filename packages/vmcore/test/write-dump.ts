import { encodeElfNote } from '@ullage/layout'
import type { PfnRange } from '@ullage/pages'
import { startElf } from '../src/elf-writer.ts'
import { startFlattened } from '../src/flattened-writer.ts'
import { startKdump } from '../src/kdump-writer.ts'
import type { Compression, PageBatch, VmcoreHeader, VmcoreSummary } from '../src/vmcore-writer.ts'
import { openFileSink, openSequentialSink } from './file-sink.ts'
import { encodePage } from './page-codecs.ts'

export const formats = ['kdump', 'flattened', 'elf'] as const
export type DumpFormat = (typeof formats)[number]

const start = { kdump: startKdump, flattened: startFlattened, elf: startElf }

export const vmcoreinfoText = 'OSRELEASE=6.1.0-test\nPAGESIZE=4096\n'

export function testHeader(changes: Partial<VmcoreHeader> = {}): VmcoreHeader {
  const prstatus = encodeElfNote('CORE', 1, new Uint8Array(336))
  const vmcoreinfo = encodeElfNote('VMCOREINFO', 0, new TextEncoder().encode(vmcoreinfoText))
  return {
    machine: 'x86_64',
    pageBytes: 4096,
    uname: { sysname: 'Linux', nodename: 'guest', release: '6.1.0-test', version: '#1 SMP', domainname: '(none)' },
    cpus: 2,
    physBase: -0x1c00_0000n,
    dumpLevel: 31,
    compression: 'none',
    elfNotes: Uint8Array.from([...prstatus, ...vmcoreinfo]),
    timestamp: new Date('2026-11-20T10:20:30.456Z'),
    ...changes,
  }
}

export interface DumpSpec {
  readonly format: DumpFormat
  readonly compression?: Compression
  readonly header?: Partial<VmcoreHeader>
  readonly present: readonly PfnRange[]
  readonly stored: readonly PfnRange[]
  /** Fills a page with the content of `pfn`; the page is zeros before. */
  readonly fill: (pfn: number, page: Uint8Array) => void
  readonly batchPages?: number
}

/** Writes a vmcore to `path` the way an engine does, batch by batch. ELF pages are raw whatever the compression. */
export async function writeDump(path: string, spec: DumpSpec): Promise<VmcoreSummary> {
  const compression = spec.format === 'elf' ? 'none' : (spec.compression ?? 'none')
  const header = testHeader({ compression, ...spec.header })
  using sink = spec.format === 'flattened' ? openSequentialSink(path) : openFileSink(path)
  const last = spec.present.at(-1)
  const writer = await start[spec.format](sink, header, {
    maxPfn: last ? last.start + last.count : 0,
    present: () => spec.present,
    stored: () => spec.stored,
    storedCount: spec.stored.reduce((sum, run) => sum + run.count, 0),
  })
  let open: { flags: number; bytes: Uint8Array }[] = []
  const send = async (): Promise<void> => {
    const payload = Uint8Array.from(Buffer.concat(open.map(({ bytes }) => bytes)))
    await writer.append(toBatch(open, payload))
    // What was handed over may be reused.
    payload.fill(0xee)
    open = []
  }
  for (const run of spec.stored) {
    for (let pfn = run.start; pfn < run.start + run.count; pfn++) {
      const page = new Uint8Array(header.pageBytes)
      spec.fill(pfn, page)
      open.push(encodePage(page, compression))
      if (open.length === (spec.batchPages ?? 100)) await send()
    }
  }
  if (open.length > 0) await send()
  return await writer.finish()
}

function toBatch(pages: readonly { flags: number; bytes: Uint8Array }[], payload: Uint8Array): PageBatch {
  return {
    count: pages.length,
    sizes: Uint32Array.from(pages, ({ bytes }) => bytes.length),
    flags: Uint32Array.from(pages, ({ flags }) => flags),
    payload,
  }
}

/** Every third page zeros, every third text that compresses, every third noise that does not. */
export function fillByPfn(pfn: number, page: Uint8Array): void {
  if (pfn % 3 === 0) return
  if (pfn % 3 === 1) {
    page.set(new TextEncoder().encode(`page ${pfn} `.repeat(200)))
    return
  }
  let state = pfn + 1
  for (let i = 0; i < page.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    page[i] = state >>> 24
  }
}
