import { setImmediate } from 'node:timers/promises'
import { readU64 } from '@ullage/layout'
import { OfflineError, throwIfAborted } from '@ullage/offline-query'
import { PAGE_BYTES } from '../core-layout.ts'
import { FrameRuns, MAX_RUNS } from '../frame-runs.ts'
import { frameBytes } from './frame-bytes.ts'
import { BATCH_FRAMES, type Hypervisor } from './hypervisor.ts'
import type { SharedInfo } from './pv-shared-info.ts'

/** Entries in one page of a table. */
const ENTRIES = 512
/** Machine frames that 52 physical address bits can name. */
const FRAME_LIMIT = 2 ** 40

/** Bits of a page table entry: present, large page, machine frame. */
const PRESENT = 1n
const LARGE = 1n << 7n
const FRAME_MASK = (1n << 40n) - 1n

/** What a PV guest's p2m says. */
export interface P2m {
  /** Frame → machine frame, for frames that have one. */
  readonly machine: FrameRuns
}

/**
 * Reads the p2m for frames 0 to `frames - 1`: through the guest's page tables where it has a linear one (Linux 3.19 and
 * later), else through its list of frame lists. Entries that are no frame of its own (invalid, or with one of the two top
 * bits: identity, foreign; Linux arch/x86/include/asm/xen/page.h) count as none. Throws OfflineError CORRUPT when a table
 * cannot be followed.
 */
export async function readP2m(
  hypervisor: Hypervisor,
  domid: number,
  options: { shared: SharedInfo; frames: number; signal?: AbortSignal | undefined },
): Promise<P2m> {
  const { shared, frames, signal } = options
  const machine = new FrameRuns()
  const leaves =
    shared.p2mCr3 !== 0 && shared.p2mVaddr !== 0n
      ? new LinearTable(hypervisor, domid, shared)
      : new FrameListTable(hypervisor, domid, shared)
  const count = Math.ceil(frames / ENTRIES)
  const page = new Uint8Array(PAGE_BYTES)
  const view = new DataView(page.buffer)
  let batch: { index: number; frame: number }[] = []
  const flush = (): void => {
    if (batch.length === 0) return
    const wanted = batch
    batch = []
    hypervisor.map(
      domid,
      wanted.map(({ frame }) => frame),
      (bytes, errors) => {
        wanted.forEach(({ index, frame }, i) => {
          if (errors[i] !== 0) throw notTheDomains(domid, `page ${index} of the p2m`, frame)
          bytes.read(i * PAGE_BYTES, page)
          addEntries(machine, view, { first: index * ENTRIES, end: frames })
        })
      },
    )
    if (machine.length > MAX_RUNS) {
      throw new OfflineError(
        'UNSUPPORTED',
        `expected machine frames in ${MAX_RUNS} runs at most, the p2m of domain ${domid} has more: memory in so many pieces cannot be dumped`,
      )
    }
  }
  for (let index = 0; index < count; index++) {
    const frame = leaves.frameOf(index)
    if (frame !== undefined) batch.push({ index, frame })
    if (batch.length < BATCH_FRAMES && index < count - 1) continue
    flush()
    await setImmediate()
    throwIfAborted(signal)
  }
  flush()
  return { machine }
}

function addEntries(machine: FrameRuns, view: DataView, { first, end }: { first: number; end: number }): void {
  const count = Math.min(ENTRIES, end - first)
  for (let i = 0; i < count; i++) {
    const frame = readU64(view, i * 8)
    if (frame < FRAME_LIMIT) machine.add(first + i, frame)
  }
}

/** Where the pages of a linear p2m are, by the page tables it is mapped with. */
class LinearTable {
  readonly #hypervisor: Hypervisor
  readonly #domid: number
  readonly #shared: SharedInfo
  /** The table last looked at on each level: neighbouring pages are reached through the same ones. */
  readonly #tables: ({ frame: number; view: DataView } | undefined)[] = []

  constructor(hypervisor: Hypervisor, domid: number, shared: SharedInfo) {
    this.#hypervisor = hypervisor
    this.#domid = domid
    this.#shared = shared
  }

  /** Machine frame of page `index` of the p2m, or undefined where nothing is mapped. */
  frameOf(index: number): number | undefined {
    const { p2mVaddr, p2mCr3 } = this.#shared
    const address = p2mVaddr + BigInt(index) * BigInt(PAGE_BYTES)
    let frame = Math.floor(p2mCr3 / PAGE_BYTES)
    for (let level = 4; level >= 1; level--) {
      const entry = this.#table(level, frame).getBigUint64(Number((address >> BigInt(3 + 9 * level)) & 511n) * 8, true)
      if ((entry & PRESENT) === 0n) return undefined
      if (level > 1 && (entry & LARGE) !== 0n) {
        throw new OfflineError(
          'CORRUPT',
          `expected the p2m of domain ${this.#domid} in pages of ${PAGE_BYTES} bytes, found a larger one at 0x${address.toString(16)}`,
        )
      }
      frame = Number((entry >> 12n) & FRAME_MASK)
    }
    return frame
  }

  #table(level: number, frame: number): DataView {
    const known = this.#tables[level]
    if (known?.frame === frame) return known.view
    const what = `a page table (level ${level}) of the p2m`
    const bytes = frameBytes(this.#hypervisor, this.#domid, frame, what)
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    this.#tables[level] = { frame, view }
    return view
  }
}

/** Where the pages of the p2m are, by `pfn_to_mfn_frame_list_list`: a page of the frames of pages of their frames. */
class FrameListTable {
  readonly #hypervisor: Hypervisor
  readonly #domid: number
  readonly #top: DataView
  #list: { index: number; view: DataView } | undefined

  constructor(hypervisor: Hypervisor, domid: number, { frameListList }: SharedInfo) {
    if (frameListList === 0 || frameListList >= FRAME_LIMIT) {
      throw new OfflineError(
        'CORRUPT',
        `expected the way to the p2m in the shared info of domain ${domid}, found neither page tables nor a frame list`,
      )
    }
    this.#hypervisor = hypervisor
    this.#domid = domid
    this.#top = this.#page(frameListList, 'the list of frame lists')
  }

  frameOf(index: number): number | undefined {
    const list = Math.floor(index / ENTRIES)
    if (list >= ENTRIES) {
      throw new OfflineError(
        'UNSUPPORTED',
        `expected a p2m of ${ENTRIES ** 3} frames at most by frame lists, found one of domain ${this.#domid} that goes further`,
      )
    }
    if (this.#list?.index !== list) {
      const frame = readU64(this.#top, list * 8)
      if (frame === 0 || frame >= FRAME_LIMIT) return undefined
      this.#list = { index: list, view: this.#page(frame, `frame list ${list}`) }
    }
    const frame = readU64(this.#list.view, (index % ENTRIES) * 8)
    return frame === 0 || frame >= FRAME_LIMIT ? undefined : frame
  }

  #page(frame: number, what: string): DataView {
    const bytes = frameBytes(this.#hypervisor, this.#domid, frame, what)
    return new DataView(bytes.buffer, bytes.byteOffset)
  }
}

function notTheDomains(domid: number, what: string, frame: number): OfflineError {
  return new OfflineError(
    'CORRUPT',
    `expected ${what} in machine frame 0x${frame.toString(16)}, found that xen does not map it for domain ${domid}: it is not the domain's`,
  )
}
