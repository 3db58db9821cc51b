import { writeU64 } from '@ullage/layout'
import type { ForeignBytes, XenCall } from '@ullage/native'
import { hypercallError } from './hypercall-error.ts'
import { GET_MEM_TYPE_BYTES, HVMOP_get_mem_type, HYPERCALL, MULTICALL_ENTRY_WORDS } from './hypercalls.ts'
import { BATCH_FRAMES } from './hypervisor.ts'

const ENTRY_BYTES = MULTICALL_ENTRY_WORDS * 8
/** u32 words in one argument: domid and mem_type, padding, low and high half of the frame. */
const WORDS = GET_MEM_TYPE_BYTES / 4

/**
 * HVMOP_get_mem_type for a batch of frames in one multicall. This is asked of every frame of a guest, so buffers are kept
 * and filled in u32 words. (Under QEMU's emulation 4 µs a frame, against 37 by hypercalls of their own.)
 */
export class MemTypes {
  readonly #call: XenCall
  readonly #batch: ForeignBytes
  readonly #entries: ForeignBytes
  readonly #words = new Uint32Array(BATCH_FRAMES * WORDS)
  readonly #wordBytes = new Uint8Array(this.#words.buffer)
  /** The multicall for a batch: only what `#batch` holds differs. */
  readonly #entryBytes = new Uint8Array(BATCH_FRAMES * ENTRY_BYTES)
  readonly #answerBytes = new Uint8Array(BATCH_FRAMES * ENTRY_BYTES)
  /** False once Xen, or the kernel below us, has refused a multicall. */
  #multicalls = true

  constructor(call: XenCall) {
    this.#call = call
    this.#batch = call.allocate(this.#wordBytes.length)
    this.#entries = call.allocate(this.#entryBytes.length)
    const view = new DataView(this.#entryBytes.buffer)
    for (let i = 0; i < BATCH_FRAMES; i++) {
      writeU64(view, i * ENTRY_BYTES, HYPERCALL.hvm_op)
      writeU64(view, i * ENTRY_BYTES + 16, HVMOP_get_mem_type)
      writeU64(view, i * ENTRY_BYTES + 24, this.#argumentAt(i))
    }
  }

  /** HVMMEM_* of at most BATCH_FRAMES frames. Throws OfflineError. */
  ask(domid: number, frames: readonly number[]): Uint16Array {
    const count = frames.length
    const words = this.#words
    for (let i = 0, at = 0; i < count; i++, at += WORDS) {
      const frame = frames[i] as number
      words[at] = domid
      words[at + 1] = 0
      words[at + 2] = frame
      words[at + 3] = frame / 2 ** 32
    }
    const bytes = this.#wordBytes.subarray(0, count * GET_MEM_TYPE_BYTES)
    this.#batch.write(0, bytes)
    if (!this.#multicalls || !this.#askTogether(domid, frames)) this.#askEach(domid, frames)
    this.#batch.read(0, bytes)
    const types = new Uint16Array(count)
    for (let i = 0; i < count; i++) types[i] = (words[i * WORDS] as number) >>> 16
    return types
  }

  /** False when multicalls do not work here; nothing was asked then. */
  #askTogether(domid: number, frames: readonly number[]): boolean {
    const count = frames.length
    // All of it each time: a hypervisor built for debugging spoils what it has read.
    this.#entries.write(0, this.#entryBytes.subarray(0, count * ENTRY_BYTES))
    if (this.#call.call(HYPERCALL.multicall, this.#entries.address, count) < 0) {
      this.#multicalls = false
      return false
    }
    const answers = this.#answerBytes.subarray(0, count * ENTRY_BYTES)
    this.#entries.read(0, answers)
    const words = new Int32Array(answers.buffer, 0, answers.length / 4)
    for (let i = 0; i < count; i++) this.#check(domid, frames[i], words[i * MULTICALL_ENTRY_WORDS * 2 + 2] as number)
    return true
  }

  #askEach(domid: number, frames: readonly number[]): void {
    frames.forEach((frame, i) => {
      this.#check(domid, frame, this.#call.call(HYPERCALL.hvm_op, HVMOP_get_mem_type, this.#argumentAt(i)))
    })
  }

  #argumentAt(index: number): number {
    return this.#batch.address + index * GET_MEM_TYPE_BYTES
  }

  #check(domid: number, frame: number | undefined, result: number): void {
    if (result < 0) throw hypercallError(`HVMOP_get_mem_type for frame ${frame}`, domid, result)
  }
}
