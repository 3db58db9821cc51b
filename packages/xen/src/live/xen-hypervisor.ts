import {
  type ForeignBytes,
  openXenCall,
  openXenForeignMemory,
  requirePrivcmd,
  type XenCall,
  type XenForeignMemory,
} from '@ullage/native'
import { toSafeNumber, writeU64 } from '@ullage/layout'
import type { PopulateOnDemand } from '@ullage/offline-query'
import { VcpuGuestContext } from '../core-layout.ts'
import { EINVAL, ENODATA, ESRCH, hypercallError } from './hypercall-error.ts'
import {
  DOMCTL,
  DOMCTL_UNION,
  DOMINF,
  GET_MEM_TYPE_BYTES,
  GetDomainInfo,
  HVMOP_get_mem_type,
  HYPERCALL,
  MULTICALL_ENTRY_WORDS,
  PFINFO_SHIFT,
  PodTarget,
  XenDomctl,
  XENMEM_get_pod_target,
  XENMEM_maximum_gpfn,
  XENVER_version,
} from './hypercalls.ts'
import { BATCH_FRAMES, type DomainInfo, type Hypervisor, type MappedBytes } from './hypervisor.ts'
import { domctlVersion } from './interface-versions.ts'
import { translated } from './to-offline-error.ts'

const NO_VCPUS = 0xffff_ffff
const MULTICALL_BYTES = BATCH_FRAMES * MULTICALL_ENTRY_WORDS * 8

/** The hypervisor of this host, by raw hypercalls: the libraries below it have a stable interface, those above have not. */
export class XenHypervisor implements Hypervisor {
  readonly version: string
  readonly #call: XenCall
  readonly #memory: XenForeignMemory
  readonly #domctl: ForeignBytes
  readonly #argument: ForeignBytes
  readonly #context: ForeignBytes
  readonly #batch: ForeignBytes
  readonly #entries: ForeignBytes
  readonly #interfaceVersion: number
  readonly #words = new Uint32Array((BATCH_FRAMES * GET_MEM_TYPE_BYTES) / 4)
  readonly #wordBytes = new Uint8Array(this.#words.buffer)
  /** The multicall for a batch, which only differs in what `#batch` holds. */
  readonly #entryBytes = new Uint8Array(MULTICALL_BYTES)
  readonly #answerBytes = new Uint8Array(MULTICALL_BYTES)
  #questions = 0
  /** False once Xen, or the kernel below us, has refused one. */
  #multicalls = true

  /** Throws OfflineError: INVALID outside the control domain, UNSUPPORTED without a library or for an unknown version. */
  static open(): XenHypervisor {
    return translated(() => {
      requirePrivcmd()
      const call = openXenCall()
      try {
        const memory = openXenForeignMemory()
        try {
          return new XenHypervisor(call, memory)
        } catch (error) {
          memory[Symbol.dispose]()
          throw error
        }
      } catch (error) {
        call[Symbol.dispose]()
        throw error
      }
    })
  }

  /** Takes over both. */
  constructor(call: XenCall, memory: XenForeignMemory) {
    this.#call = call
    this.#memory = memory
    this.#questions++
    const found = call.call(HYPERCALL.xen_version, XENVER_version, 0)
    if (found < 0) throw hypercallError('the version of xen', 0, found)
    this.version = `${found >>> 16}.${found & 0xffff}`
    this.#interfaceVersion = domctlVersion(this.version)
    this.#domctl = call.allocate(XenDomctl.size)
    this.#argument = call.allocate(PodTarget.size)
    this.#context = call.allocate(VcpuGuestContext.size)
    this.#batch = call.allocate(BATCH_FRAMES * GET_MEM_TYPE_BYTES)
    this.#entries = call.allocate(MULTICALL_BYTES)
    const view = new DataView(this.#entryBytes.buffer)
    for (let i = 0; i < BATCH_FRAMES; i++) {
      const at = i * MULTICALL_ENTRY_WORDS * 8
      writeU64(view, at, HYPERCALL.hvm_op)
      writeU64(view, at + 16, HVMOP_get_mem_type)
      writeU64(view, at + 24, this.#batch.address + i * GET_MEM_TYPE_BYTES)
    }
  }

  get questions(): number {
    return this.#questions
  }

  info(domid: number): DomainInfo | undefined {
    const { result, union } = this.#domctlOf('getdomaininfo', domid)
    if (result === -ESRCH) return undefined
    if (result < 0) throw hypercallError('domctl getdomaininfo', domid, result)
    const info = GetDomainInfo.read(union)
    // Asked for a domain that is not there, older versions tell of the next one.
    if (info.domain !== domid) return undefined
    const number = (value: bigint): number => toSafeNumber(value, `a count of domain ${domid}`)
    const is = (flag: number): boolean => (info.flags & flag) !== 0
    return {
      domid,
      handle: Buffer.from(info.handle).toString('hex'),
      isTranslated: is(DOMINF.hvm_guest),
      isDying: is(DOMINF.dying),
      isShutdown: is(DOMINF.shutdown),
      isPaused: is(DOMINF.paused),
      totalFrames: number(info.tot_pages),
      maxFrames: number(info.max_pages),
      pagedFrames: number(info.paged_pages),
      sharedInfoFrame: Number(info.shared_info_frame),
      maxVcpu: info.max_vcpu_id === NO_VCPUS ? -1 : info.max_vcpu_id,
    }
  }

  pause(domid: number): void {
    this.#order('pausedomain', domid)
  }

  unpause(domid: number): boolean {
    const { result } = this.#domctlOf('unpausedomain', domid)
    if (result === -EINVAL || result === -ESRCH) return false
    if (result < 0) throw hypercallError('domctl unpausedomain', domid, result)
    return true
  }

  addressBits(domid: number): number {
    return new DataView(this.#order('get_address_size', domid).buffer).getUint32(DOMCTL_UNION, true)
  }

  vcpuContext(domid: number, vcpu: number): Uint8Array | undefined {
    const { result } = this.#domctlOf('getvcpucontext', domid, (view) => {
      view.setUint32(0, vcpu, true)
      writeU64(view, 8, this.#context.address)
    })
    if (result === -ENODATA || result === -EINVAL) return undefined
    // No such vCPU, or no such domain.
    if (result === -ESRCH && this.info(domid)) return undefined
    if (result < 0) throw hypercallError(`domctl getvcpucontext ${vcpu}`, domid, result)
    const context = new Uint8Array(VcpuGuestContext.size)
    this.#context.read(0, context)
    return context
  }

  maximumFrame(domid: number): number {
    this.#argument.write(0, new Uint8Array([domid & 0xff, domid >> 8]))
    return this.#ask('XENMEM_maximum_gpfn', domid, HYPERCALL.memory_op, XENMEM_maximum_gpfn)
  }

  populateOnDemand(domid: number): PopulateOnDemand {
    const none = 0n
    const question = { target_pages: none, tot_pages: none, pod_cache_pages: none, pod_entries: none, domid }
    this.#argument.write(0, PodTarget.toBytes(question))
    this.#ask('XENMEM_get_pod_target', domid, HYPERCALL.memory_op, XENMEM_get_pod_target)
    const answer = new Uint8Array(PodTarget.size)
    this.#argument.read(0, answer)
    const { tot_pages, pod_cache_pages, pod_entries } = PodTarget.read(answer)
    return { targetFrames: Number(tot_pages), cacheFrames: Number(pod_cache_pages), entries: Number(pod_entries) }
  }

  memTypes(domid: number, frames: readonly number[]): Uint16Array {
    checkBatch(frames)
    const count = frames.length
    // u32 words, since this is asked of every frame of a guest: domid and mem_type, pad, pfn low, pfn high.
    const words = this.#words
    for (let i = 0, at = 0; i < count; i++, at += 4) {
      const frame = frames[i] as number
      words[at] = domid
      words[at + 1] = 0
      words[at + 2] = frame
      words[at + 3] = frame / 2 ** 32
    }
    const bytes = this.#wordBytes.subarray(0, count * GET_MEM_TYPE_BYTES)
    this.#batch.write(0, bytes)
    if (!this.#multicalls || !this.#askByMulticall(domid, frames)) this.#askEach(domid, frames)
    this.#batch.read(0, bytes)
    const types = new Uint16Array(count)
    for (let i = 0; i < count; i++) types[i] = (words[i * 4] as number) >>> 16
    return types
  }

  frameTypes(domid: number, frames: readonly number[]): Uint8Array {
    checkBatch(frames)
    const count = frames.length
    const words = this.#words
    for (let i = 0; i < count; i++) {
      const frame = frames[i] as number
      words[i * 2] = frame
      words[i * 2 + 1] = frame / 2 ** 32
    }
    const bytes = this.#wordBytes.subarray(0, count * 8)
    this.#batch.write(0, bytes)
    const { result } = this.#domctlOf('getpageframeinfo3', domid, (view) => {
      writeU64(view, 0, count)
      writeU64(view, 8, this.#batch.address)
    })
    if (result < 0) throw hypercallError('domctl getpageframeinfo3', domid, result)
    this.#batch.read(0, bytes)
    const types = new Uint8Array(count)
    for (let i = 0; i < count; i++) types[i] = (words[i * 2] as number) >>> PFINFO_SHIFT
    return types
  }

  map<T>(domid: number, frames: readonly number[], use: (bytes: MappedBytes, errors: Int32Array) => T): T {
    checkBatch(frames)
    this.#questions++
    return this.#memory.map(domid, frames, use)
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]()
    this.#call[Symbol.dispose]()
  }

  /** One hypercall for all frames. False when multicalls do not work here; nothing was asked then. */
  #askByMulticall(domid: number, frames: readonly number[]): boolean {
    const count = frames.length
    // All of it each time: a hypervisor built for debugging spoils what it has read.
    this.#entries.write(0, this.#entryBytes.subarray(0, count * MULTICALL_ENTRY_WORDS * 8))
    if (this.#call.call(HYPERCALL.multicall, this.#entries.address, count) < 0) {
      this.#multicalls = false
      return false
    }
    this.#questions += count
    const answers = this.#answerBytes.subarray(0, count * MULTICALL_ENTRY_WORDS * 8)
    this.#entries.read(0, answers)
    const words = new Int32Array(answers.buffer, 0, count * MULTICALL_ENTRY_WORDS * 2)
    for (let i = 0; i < count; i++) {
      const result = words[i * MULTICALL_ENTRY_WORDS * 2 + 2] as number
      if (result < 0) throw hypercallError(`HVMOP_get_mem_type for frame ${frames[i]}`, domid, result)
    }
    return true
  }

  #askEach(domid: number, frames: readonly number[]): void {
    frames.forEach((frame, i) => {
      this.#questions++
      const result = this.#call.call(HYPERCALL.hvm_op, HVMOP_get_mem_type, this.#batch.address + i * GET_MEM_TYPE_BYTES)
      if (result < 0) throw hypercallError(`HVMOP_get_mem_type for frame ${frame}`, domid, result)
    })
  }

  #ask(what: string, domid: number, op: number, operation: number): number {
    this.#questions++
    const result = this.#call.call(op, operation, this.#argument.address)
    if (result < 0) throw hypercallError(what, domid, result)
    return result
  }

  #order(name: keyof typeof DOMCTL, domid: number): Uint8Array {
    const { result, all } = this.#domctlOf(name, domid)
    if (result < 0) throw hypercallError(`domctl ${name}`, domid, result)
    return all
  }

  #domctlOf(
    name: keyof typeof DOMCTL,
    domid: number,
    fill?: (union: DataView) => void,
  ): { result: number; all: Uint8Array; union: Uint8Array } {
    const all = XenDomctl.toBytes({
      cmd: DOMCTL[name],
      interface_version: this.#interfaceVersion,
      domain: domid,
      _pad: new Uint8Array(6),
      u: new Uint8Array(128),
    })
    const union = all.subarray(DOMCTL_UNION)
    fill?.(new DataView(union.buffer, union.byteOffset, union.length))
    this.#domctl.write(0, all)
    this.#questions++
    const result = this.#call.call(HYPERCALL.domctl, this.#domctl.address, 0)
    this.#domctl.read(0, all)
    return { result, all, union }
  }
}

function checkBatch(frames: readonly number[]): void {
  if (frames.length >= 1 && frames.length <= BATCH_FRAMES) return
  throw new RangeError(`expected 1 to ${BATCH_FRAMES} frames in one question, found ${frames.length}`)
}
