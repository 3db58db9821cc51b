import type { OpenGuest } from '@ullage/offline-query'

const FRAME_BYTES = 4096
const FRAME_MASK = 0x000f_ffff_ffff_f000n
const PRESENT = 1n
const LARGE = 1n << 7n

/** Four-level page tables of x86-64, walked the plain way (Intel SDM vol. 3, 4.5). */
export class AddressWalk {
  readonly #guest: OpenGuest
  readonly #root: bigint

  constructor(guest: OpenGuest, cr3: bigint) {
    this.#guest = guest
    this.#root = cr3 & FRAME_MASK
  }

  /** Frame of guest RAM behind a virtual address. */
  pfn(address: bigint): number {
    let table = this.#root
    for (const shift of [39n, 30n, 21n, 12n]) {
      const entry = this.#entry(table, Number((address >> shift) & 511n))
      if ((entry & PRESENT) === 0n) throw new Error(`0x${address.toString(16)} is not mapped`)
      const isLarge = shift !== 12n && shift !== 39n && (entry & LARGE) !== 0n
      table = entry & FRAME_MASK
      if (!isLarge) continue
      const mask = (1n << shift) - 1n
      return this.#toPfn((table & ~mask) | (address & mask))
    }
    return this.#toPfn(table)
  }

  /** `bytes` bytes from a virtual address on, across pages. */
  read(address: bigint, bytes: number): Uint8Array {
    const found = new Uint8Array(bytes)
    const page = new Uint8Array(FRAME_BYTES)
    for (let done = 0; done < bytes; ) {
      const at = address + BigInt(done)
      this.#guest.memory.read({ start: this.pfn(at), count: 1 }, page)
      const part = page.subarray(Number(at & 0xfffn)).subarray(0, bytes - done)
      found.set(part, done)
      done += part.length
    }
    return found
  }

  #entry(table: bigint, index: number): bigint {
    const page = new Uint8Array(FRAME_BYTES)
    this.#guest.memory.read({ start: this.#toPfn(table), count: 1 }, page)
    return new DataView(page.buffer).getBigUint64(index * 8, true)
  }

  #toPfn(address: bigint): number {
    const pfn = this.#guest.addressSpace.toPfn(Number(address >> 12n))
    if (pfn === undefined) throw new Error(`0x${address.toString(16)} is not guest RAM`)
    return pfn
  }
}
