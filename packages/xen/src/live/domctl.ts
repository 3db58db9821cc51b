import { writeU64 } from '@ullage/layout'
import type { ForeignBytes, XenCall } from '@ullage/native'
import { DOMCTL, DOMCTL_UNION, HYPERCALL, XenDomctl } from './hypercalls.ts'

/** One answer of the domctl interface. */
export interface DomctlAnswer {
  /** 0 or more, or an error number below 0. */
  readonly result: number
  /** The union of its argument, as the hypervisor left it. */
  readonly union: Uint8Array
}

/** The domctl interface, of one version. */
export class Domctl {
  readonly #call: XenCall
  readonly #version: number
  readonly #argument: ForeignBytes

  constructor(call: XenCall, version: number) {
    this.#call = call
    this.#version = version
    this.#argument = call.allocate(XenDomctl.size)
  }

  /** Makes one call. `words` are the first u64 of the union. */
  make(name: keyof typeof DOMCTL, domid: number, words: readonly number[] = []): DomctlAnswer {
    const all = XenDomctl.toBytes({
      cmd: DOMCTL[name],
      interface_version: this.#version,
      domain: domid,
      _pad: new Uint8Array(6),
      u: new Uint8Array(128),
    })
    const union = all.subarray(DOMCTL_UNION)
    const view = new DataView(union.buffer, union.byteOffset, union.length)
    words.forEach((word, i) => writeU64(view, i * 8, word))
    this.#argument.write(0, all)
    const result = this.#call.call(HYPERCALL.domctl, this.#argument.address, 0)
    this.#argument.read(0, all)
    return { result, union }
  }
}
