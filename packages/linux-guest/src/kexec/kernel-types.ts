import type { KernelMemory } from '../kernel-memory.ts'
import { Refusal } from '../refusal.ts'
import { Btf, type BtfStruct } from './btf.ts'

/** Kernels of distributions have 4 to 10 MiB. */
const MAX_BTF_BYTES = 32 * 2 ** 20
const PIECE_BYTES = 4096

/** Reads the kernel's BTF, which lies between `start` and `stop`. Throws Refusal. */
export function readKernelTypes(memory: KernelMemory, start: bigint, stop: bigint): Btf {
  const size = Number(stop - start)
  if (size <= 0 || size > MAX_BTF_BYTES) {
    throw new Refusal(`its BTF should have from 1 to ${MAX_BTF_BYTES} bytes, found ${size}`)
  }
  const bytes = new Uint8Array(size)
  for (let done = 0; done < size; ) {
    const at = start + BigInt(done)
    const piece = Math.min(size - done, PIECE_BYTES - Number(at % BigInt(PIECE_BYTES)))
    const read = memory.read(at, piece)
    if (!read) throw new Refusal(`its BTF at 0x${at.toString(16)} is not in readable guest RAM`)
    bytes.set(read, done)
    done += piece
  }
  return new Btf(bytes)
}

/** Where a member lies in its structure, in bytes. Throws Refusal. */
export function memberOffset(struct: BtfStruct, name: string, options: { bytes: number }): number {
  const member = struct.members.get(name)
  if (!member || member.offsetBytes + options.bytes > struct.bytes) {
    throw new Refusal(`its BTF describes a structure without ${name}`)
  }
  return member.offsetBytes
}
