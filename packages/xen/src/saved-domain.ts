import type { CpuState } from '@ullage/layout'
import { badSave, unreadSave } from './bad-save.ts'
import { PAGE_BYTES, SHARED_INFO_MAX_PFN, VcpuGuestContext } from './core-layout.ts'
import { readHvmContext } from './hvm-context.ts'
import { P2mFrames, PvInfo, REC, REC_OPTIONAL, VcpuHeader } from './save-layout.ts'
import { SavePages } from './save-pages.ts'
import type { SaveReader, SaveRecord } from './save-reader.ts'
import { contextState } from './vcpu-context.ts'

/** More than Xen gives any guest. */
const MAX_VCPUS = 8192

const PV_ONLY: readonly number[] = [
  REC.pvInfo,
  REC.pvP2mFrames,
  REC.pvVcpuBasic,
  REC.pvVcpuExtended,
  REC.pvVcpuXsave,
  REC.pvVcpuMsrs,
  REC.sharedInfo,
]
const HVM_ONLY: readonly number[] = [REC.hvmContext, REC.hvmParams]
const NOTHING_HERE: readonly number[] = [
  REC.pvVcpuExtended,
  REC.pvVcpuXsave,
  REC.pvVcpuMsrs,
  REC.tscInfo,
  REC.hvmParams,
  REC.toolstack,
  REC.staticDataEnd,
  REC.cpuidPolicy,
  REC.msrPolicy,
]

/** What the records of libxc's stream say of a domain, taken in one after the other. */
export class SavedDomain {
  readonly kind: 'pv' | 'hvm'
  readonly pages = new SavePages()
  /**
   * PV: one more than the last frame of the p2m, as the guest's shared info says, and as the saver saw it, who leaves out an
   * end that speaks of nothing; 0 where that is not told.
   */
  readonly maxPfn = { ofGuest: 0, ofSaver: 0 }
  #cpus = new Map<number, CpuState>()
  #guestWidth: number | undefined
  #isVerifying = false

  constructor(kind: 'pv' | 'hvm') {
    this.kind = kind
  }

  /** Takes in one record; the reader stands at its body and is left anywhere in it. Throws OfflineError. */
  add(reader: SaveReader, record: SaveRecord): void {
    const { type } = record
    const at = `at byte ${record.startBytes}`
    const other = this.kind === 'pv' ? HVM_ONLY : PV_ONLY
    if (other.includes(type)) {
      const kind = this.kind.toUpperCase()
      throw badSave(reader.path, `the record of type ${type} ${at} does not belong to a ${kind} guest`)
    }
    if (type === REC.pageData) {
      // After VERIFY memory is sent once more, for comparison: nothing in it is new.
      if (!this.#isVerifying) this.pages.add(reader, record)
    } else if (type === REC.verify) this.#isVerifying = true
    else if (type === REC.pvInfo) this.#addPvInfo(reader, record, at)
    else if (type === REC.pvP2mFrames) this.#addP2mFrames(reader, record, at)
    else if (type === REC.sharedInfo) this.#addSharedInfo(reader, record, at)
    else if (type === REC.pvVcpuBasic) this.#addVcpu(reader, record, at)
    else if (type === REC.hvmContext) this.#cpus = readHvmContext(reader, record)
    else if (!NOTHING_HERE.includes(type) && type < REC_OPTIONAL) {
      throw unreadSave(
        reader.path,
        `the record ${at} has the type 0x${type.toString(16)}, which is not known and may not be skipped`,
      )
    }
  }

  /** Registers of the vCPUs that were not off, in their order. Throws OfflineError CORRUPT when vCPU 0 has none. */
  finishCpus(path: string): CpuState[] {
    if (!this.#cpus.has(0)) throw badSave(path, 'expected the registers of vCPU 0, found none')
    return [...this.#cpus].sort(([a], [b]) => a - b).map(([, cpu]) => cpu)
  }

  #addPvInfo(reader: SaveReader, record: SaveRecord, at: string): void {
    requireBytes(reader, record, PvInfo.size, `X86_PV_INFO ${at}`)
    const { guest_width, pt_levels } = reader.read(PvInfo, 'X86_PV_INFO')
    if (guest_width !== 8 || pt_levels !== 4) {
      throw unreadSave(
        reader.path,
        `expected a guest of 64 bits with page tables of 4 levels, found ${guest_width * 8} bits and ${pt_levels} levels`,
      )
    }
    this.#guestWidth = guest_width
  }

  #addP2mFrames(reader: SaveReader, record: SaveRecord, at: string): void {
    const { path } = reader
    if (record.sizeBytes < P2mFrames.size) {
      throw badSave(path, `X86_PV_P2M_FRAMES ${at} has only ${record.sizeBytes} bytes`)
    }
    const { start_pfn, end_pfn } = reader.read(P2mFrames, 'X86_PV_P2M_FRAMES')
    const frames = Math.floor(end_pfn / 512) + 1 - Math.floor(start_pfn / 512)
    if (start_pfn > end_pfn || record.sizeBytes !== P2mFrames.size + frames * 8) {
      throw badSave(
        path,
        `X86_PV_P2M_FRAMES ${at} names frames ${start_pfn} to ${end_pfn}, which does not go with its ${record.sizeBytes} bytes`,
      )
    }
    this.maxPfn.ofSaver = Math.max(this.maxPfn.ofSaver, end_pfn + 1)
  }

  #addSharedInfo(reader: SaveReader, record: SaveRecord, at: string): void {
    requireBytes(reader, record, PAGE_BYTES, `SHARED_INFO ${at}`)
    const page = reader.take(PAGE_BYTES, 'SHARED_INFO')
    this.maxPfn.ofGuest = Number(page.getBigUint64(SHARED_INFO_MAX_PFN, true))
  }

  #addVcpu(reader: SaveReader, record: SaveRecord, at: string): void {
    const what = `X86_PV_VCPU_BASIC ${at}`
    if (this.#guestWidth === undefined) throw badSave(reader.path, `${what} comes before X86_PV_INFO`)
    // Xen 4.6 to 4.8 could write records of no content.
    if (record.sizeBytes === VcpuHeader.size) return
    requireBytes(reader, record, VcpuHeader.size + VcpuGuestContext.size, what)
    const { vcpu_id } = reader.read(VcpuHeader, what)
    if (vcpu_id >= MAX_VCPUS)
      throw badSave(reader.path, `expected ${MAX_VCPUS} vCPUs at most, ${what} is of ${vcpu_id}`)
    this.#cpus.set(vcpu_id, contextState(reader.read(VcpuGuestContext, what)))
  }
}

function requireBytes(reader: SaveReader, record: SaveRecord, sizeBytes: number, what: string): void {
  if (record.sizeBytes === sizeBytes) return
  throw badSave(reader.path, `${what} should have ${sizeBytes} bytes, it has ${record.sizeBytes}`)
}
