import { openXenCoreView, type XenFixture } from '@ullage/lab'
import { encodeElfNote, offsetOf, QEMUCPUState } from '@ullage/layout'
import {
  answerBacking,
  type BackingRun,
  checkRead,
  closedGuest,
  type GuestMemory,
  type HypervisorFigures,
  type OfflineCapabilities,
  OfflineError,
  type OfflineQuery,
  type OpenGuest,
  throwIfAborted,
} from '@ullage/offline-query'
import { cutRange, endOf, type PfnRange, PfnSet } from '@ullage/pages'
import { closeSync, openSync, readSync } from 'node:fs'

const FRAME_BYTES = 4096
/** Place of CR3 in `struct vcpu_guest_context`. */
const CR3_BYTES = 0x1378 + 24

export interface CostlyOptions {
  readonly costly: boolean
  /** False for a hypervisor that does not tell the registers. */
  readonly tellsVcpu?: boolean
  readonly unbackedReads?: 'zeros' | 'nothing'
  /** Frames that the hypervisor says have no memory, whatever the core has. */
  readonly lost?: readonly PfnRange[]
  /** Frames that have memory which cannot be read. */
  readonly broken?: readonly PfnRange[]
}

/** A real guest's memory behind a hypervisor that is asked frame by frame, and that remembers what it was asked. */
export class CostlyGuest implements OpenGuest, GuestMemory {
  readonly identity = { backend: 'scripted', machine: 'x86_64', kind: 'file' } as const
  readonly frameBytes = FRAME_BYTES
  readonly notDumped = []
  readonly warnings = []
  readonly extents: GuestMemory['extents']
  readonly capabilities: OfflineCapabilities
  readonly addressSpace: OpenGuest['addressSpace']
  /** Frames whose state was asked for. */
  readonly asked = new PfnSet()
  readonly askedInOrder: PfnRange[] = []
  /** Frames that somebody tried to read. */
  readonly touched = new PfnSet()
  readonly reads: PfnRange[] = []
  /** What the hypervisor counts; a test may change it. */
  counts: Omit<HypervisorFigures, 'questions'>
  #questions = 0
  #closed = false
  readonly #core: ReturnType<typeof openXenCoreView>
  readonly #backed: PfnSet
  readonly #broken: PfnSet
  readonly #elfNotes: Uint8Array

  constructor(fixture: XenFixture, options: CostlyOptions) {
    this.#core = openXenCoreView(fixture.core, fixture.kpageflags.length)
    this.extents = this.#core.extents.map((range) => ({ ...range, name: 'ram' }))
    this.capabilities = {
      granularity: 1,
      snapshot: true,
      tellsSwapped: false,
      unbackedReads: options.unbackedReads ?? 'nothing',
      costly: options.costly,
    }
    this.addressSpace = { toPfn: (gfn) => this.#core.toPfn(gfn) }
    this.#backed = PfnSet.of(this.#core.backed.allRuns())
    for (const range of options.lost ?? []) this.#backed.delete(range)
    this.#broken = PfnSet.of(options.broken ?? [])
    this.#elfNotes = options.tellsVcpu === false ? new Uint8Array() : vcpuNote(fixture.core, this.#core)
    this.counts = { totalFrames: this.#backed.size, populateOnDemand: { targetFrames: 0, cacheFrames: 0, entries: 0 } }
  }

  get memory(): GuestMemory {
    return this
  }

  read(range: PfnRange, into: Uint8Array): void {
    this.#checkOpen()
    checkRead(this, range, into)
    this.touched.add(range)
    this.reads.push(range)
    for (let pfn = range.start; pfn < endOf(range); pfn++) {
      const at = (pfn - range.start) * FRAME_BYTES
      const page = into.subarray(at, at + FRAME_BYTES)
      const isBacked = this.#backed.has(pfn)
      if (this.#broken.has(pfn) || (!isBacked && this.capabilities.unbackedReads === 'nothing')) {
        throw new OfflineError('UNREADABLE', `frame ${pfn} cannot be read`)
      }
      if (isBacked) this.#core.read({ start: pfn, count: 1 }, page)
      else page.fill(0)
    }
  }

  get backing(): OfflineQuery {
    return {
      capabilities: this.capabilities,
      backing: (options) =>
        answerBacking(options, (within, skip) => this.#find(within, this.capabilities.costly ? skip : [])),
    }
  }

  *#find(within: PfnRange, skip: readonly PfnRange[]): Generator<BackingRun> {
    for (const inRam of cutRange(within, this.#core.extents)) {
      if (!inRam.inside) {
        yield { start: inRam.start, count: inRam.count, state: 'unbacked' }
        continue
      }
      for (const { inside, ...piece } of cutRange(inRam, skip)) {
        if (inside) {
          yield { ...piece, state: 'unknown' }
          continue
        }
        this.#checkOpen()
        this.asked.add(piece)
        this.askedInOrder.push(piece)
        this.#questions++
        for (const run of cutRange(piece, [...this.#backed.runs(piece)])) {
          yield { start: run.start, count: run.count, state: run.inside ? 'backed' : 'unbacked' }
        }
      }
    }
  }

  async notes({ signal }: { signal?: AbortSignal } = {}) {
    throwIfAborted(signal)
    return { elfNotes: this.#elfNotes, cpus: 1 }
  }

  async pause({ signal }: { signal?: AbortSignal } = {}) {
    throwIfAborted(signal)
    return { mode: 'file', resume: async () => 0, [Symbol.asyncDispose]: async () => undefined } as const
  }

  async hostMemory() {
    const backedBytes = this.#backed.size * FRAME_BYTES
    return { backedBytes, residentBytes: backedBytes }
  }

  async hypervisor(): Promise<HypervisorFigures> {
    return { questions: ++this.#questions, ...this.counts }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) this.#core[Symbol.dispose]()
    this.#closed = true
  }

  #checkOpen(): void {
    if (this.#closed) throw closedGuest()
  }
}

/** The note of the first vCPU, with its CR3 as the core has it. */
function vcpuNote(core: string, { sections }: ReturnType<typeof openXenCoreView>): Uint8Array {
  const section = sections.get('.xen_prstatus')
  if (!section) throw new Error(`${core} has no .xen_prstatus`)
  const cr3 = Buffer.alloc(8)
  const fd = openSync(core, 'r')
  readSync(fd, cr3, 0, 8, section.offset + CR3_BYTES)
  closeSync(fd)
  const state = Buffer.alloc(QEMUCPUState.size)
  state.writeUInt32LE(1, offsetOf(QEMUCPUState, 'version'))
  state.writeUInt32LE(QEMUCPUState.size, offsetOf(QEMUCPUState, 'size'))
  cr3.copy(state, offsetOf(QEMUCPUState, 'cr') + 24)
  return encodeElfNote('QEMU', 0, state)
}
