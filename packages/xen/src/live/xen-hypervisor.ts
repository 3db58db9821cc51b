import { toSafeNumber } from '@ullage/layout'
import {
  type ForeignBytes,
  openXenCall,
  openXenForeignMemory,
  requirePrivcmd,
  type XenCall,
  type XenForeignMemory,
} from '@ullage/native'
import type { PopulateOnDemand } from '@ullage/offline-query'
import { VcpuGuestContext } from '../core-layout.ts'
import { Domctl } from './domctl.ts'
import { EINVAL, ENODATA, ESRCH, hypercallError } from './hypercall-error.ts'
import {
  type DOMCTL,
  DOMINF,
  GetDomainInfo,
  HYPERCALL,
  PFINFO_SHIFT,
  PodTarget,
  XENMEM_get_pod_target,
  XENMEM_maximum_gpfn,
  XENVER_version,
} from './hypercalls.ts'
import { BATCH_FRAMES, type DomainInfo, type Hypervisor, type MappedBytes } from './hypervisor.ts'
import { domctlVersion } from './interface-versions.ts'
import { MemTypes } from './mem-types.ts'
import { translated } from './to-offline-error.ts'

const NO_VCPUS = 0xffff_ffff

/** The hypervisor of this host, by raw hypercalls: the libraries below it have a stable interface, those above have not. */
export class XenHypervisor implements Hypervisor {
  readonly version: string
  readonly #call: XenCall
  readonly #memory: XenForeignMemory
  readonly #domctl: Domctl
  readonly #memTypes: MemTypes
  readonly #argument: ForeignBytes
  readonly #context: ForeignBytes
  readonly #frames: ForeignBytes
  #questions = 0

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
    this.#domctl = new Domctl(call, domctlVersion(this.version))
    this.#memTypes = new MemTypes(call)
    this.#argument = call.allocate(PodTarget.size)
    this.#context = call.allocate(VcpuGuestContext.size)
    this.#frames = call.allocate(BATCH_FRAMES * 8)
  }

  get questions(): number {
    return this.#questions
  }

  info(domid: number): DomainInfo | undefined {
    const { result, union } = this.#make('getdomaininfo', domid)
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
    const { result } = this.#make('unpausedomain', domid)
    if (result === -EINVAL || result === -ESRCH) return false
    if (result < 0) throw hypercallError('domctl unpausedomain', domid, result)
    return true
  }

  addressBits(domid: number): number {
    const union = this.#order('get_address_size', domid)
    return new DataView(union.buffer, union.byteOffset).getUint32(0, true)
  }

  vcpuContext(domid: number, vcpu: number): Uint8Array | undefined {
    const { result } = this.#make('getvcpucontext', domid, [vcpu, this.#context.address])
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
    return this.#ask('XENMEM_maximum_gpfn', domid, XENMEM_maximum_gpfn)
  }

  populateOnDemand(domid: number): PopulateOnDemand {
    const question = { target_pages: 0n, tot_pages: 0n, pod_cache_pages: 0n, pod_entries: 0n, domid }
    this.#argument.write(0, PodTarget.toBytes(question))
    this.#ask('XENMEM_get_pod_target', domid, XENMEM_get_pod_target)
    const answer = new Uint8Array(PodTarget.size)
    this.#argument.read(0, answer)
    const { tot_pages, pod_cache_pages, pod_entries } = PodTarget.read(answer)
    return { targetFrames: Number(tot_pages), cacheFrames: Number(pod_cache_pages), entries: Number(pod_entries) }
  }

  memTypes(domid: number, frames: readonly number[]): Uint16Array {
    checkBatch(frames)
    this.#questions += frames.length
    return this.#memTypes.ask(domid, frames)
  }

  frameTypes(domid: number, frames: readonly number[]): Uint8Array {
    checkBatch(frames)
    const words = new Uint32Array(frames.length * 2)
    frames.forEach((frame, i) => {
      words[i * 2] = frame
      words[i * 2 + 1] = frame / 2 ** 32
    })
    const bytes = new Uint8Array(words.buffer)
    this.#frames.write(0, bytes)
    const { result } = this.#make('getpageframeinfo3', domid, [frames.length, this.#frames.address])
    if (result < 0) throw hypercallError('domctl getpageframeinfo3', domid, result)
    this.#frames.read(0, bytes)
    return Uint8Array.from(frames, (_, i) => (words[i * 2] as number) >>> PFINFO_SHIFT)
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

  #ask(what: string, domid: number, operation: number): number {
    this.#questions++
    const result = this.#call.call(HYPERCALL.memory_op, operation, this.#argument.address)
    if (result < 0) throw hypercallError(what, domid, result)
    return result
  }

  #order(name: keyof typeof DOMCTL, domid: number): Uint8Array {
    const { result, union } = this.#make(name, domid)
    if (result < 0) throw hypercallError(`domctl ${name}`, domid, result)
    return union
  }

  #make(name: keyof typeof DOMCTL, domid: number, words: readonly number[] = []) {
    this.#questions++
    return this.#domctl.make(name, domid, words)
  }
}

function checkBatch(frames: readonly number[]): void {
  if (frames.length >= 1 && frames.length <= BATCH_FRAMES) return
  throw new RangeError(`expected 1 to ${BATCH_FRAMES} frames in one question, found ${frames.length}`)
}
