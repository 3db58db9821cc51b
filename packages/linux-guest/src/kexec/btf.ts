import { Refusal } from '../refusal.ts'

const MAGIC = 0xeb9f
const VERSION = 1
const KIND = { array: 3, struct: 4 } as const
/** Bytes after a type's own twelve: fixed ones, and ones for each of its members (Linux include/uapi/linux/btf.h). */
const EXTRA: readonly (readonly [fixed: number, each: number] | undefined)[] = [
  undefined,
  [4, 0], // INT
  [0, 0], // PTR
  [12, 0], // ARRAY
  [0, 12], // STRUCT
  [0, 12], // UNION
  [0, 8], // ENUM
  [0, 0], // FWD
  [0, 0], // TYPEDEF
  [0, 0], // VOLATILE
  [0, 0], // CONST
  [0, 0], // RESTRICT
  [0, 0], // FUNC
  [0, 8], // FUNC_PROTO
  [4, 0], // VAR
  [0, 12], // DATASEC
  [0, 0], // FLOAT
  [4, 0], // DECL_TAG
  [0, 0], // TYPE_TAG
  [0, 12], // ENUM64
]
const TYPE_BYTES = 12

/** One structure as the kernel was compiled with it. Sizes and offsets in bytes. */
export interface BtfStruct {
  readonly bytes: number
  /** Members by name: those of unnamed structures and unions inside are not among them. */
  readonly members: ReadonlyMap<string, { readonly offsetBytes: number; readonly type: number }>
}

/**
 * The types of a kernel, in the form it carries itself (BTF, Linux Documentation/bpf/btf.rst): by them the place of a field
 * is known without a guess. Every index and length in it is checked; a structure of one name that occurs twice is none.
 */
export class Btf {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #stringsAt: number
  readonly #stringsEnd: number
  /** Where each type begins, by its number; none has number 0. */
  readonly #types: Uint32Array

  /** Throws Refusal when `bytes` are not BTF of version 1 in the order of little-endian machines. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (bytes.length < 24 || this.#view.getUint16(0, true) !== MAGIC || bytes[2] !== VERSION) {
      throw new Refusal('its BTF does not begin as BTF does')
    }
    const headerBytes = this.#view.getUint32(4, true)
    const typesAt = headerBytes + this.#view.getUint32(8, true)
    const typesEnd = typesAt + this.#view.getUint32(12, true)
    this.#stringsAt = headerBytes + this.#view.getUint32(16, true)
    this.#stringsEnd = this.#stringsAt + this.#view.getUint32(20, true)
    if (typesEnd > bytes.length || this.#stringsEnd > bytes.length) throw new Refusal('its BTF goes on behind its end')
    this.#types = this.#indexTypes(typesAt, typesEnd)
  }

  /** Throws Refusal when there is not exactly one structure of this name. */
  struct(name: string): BtfStruct {
    let found: number | undefined
    for (let type = 1; type < this.#types.length; type++) {
      const at = this.#types[type] as number
      if (this.#kindAt(at) !== KIND.struct || !this.#isNamed(this.#view.getUint32(at, true), name)) continue
      if (found !== undefined) throw new Refusal(`its BTF describes struct ${name} twice`)
      found = at
    }
    if (found === undefined) throw new Refusal(`its BTF does not describe struct ${name}`)
    return this.#structAt(found)
  }

  /** Elements of the array that `type` is. Throws Refusal when it is none. */
  arrayLength(type: number): number {
    const at = type > 0 ? this.#types[type] : undefined
    if (at === undefined || this.#kindAt(at) !== KIND.array) throw new Refusal('its BTF has another type for an array')
    return this.#view.getUint32(at + TYPE_BYTES + 8, true)
  }

  #structAt(at: number): BtfStruct {
    const hasBitfields = this.#view.getUint32(at + 4, true) >>> 31 === 1
    const members = new Map<string, { offsetBytes: number; type: number }>()
    for (let i = 0; i < this.#membersAt(at); i++) {
      const member = at + TYPE_BYTES + 12 * i
      const offset = this.#view.getUint32(member + 8, true)
      const bits = hasBitfields ? offset & 0xff_ffff : offset
      const name = this.#text(this.#view.getUint32(member, true))
      if (name && bits % 8 === 0) {
        members.set(name, { offsetBytes: bits / 8, type: this.#view.getUint32(member + 4, true) })
      }
    }
    return { bytes: this.#view.getUint32(at + 8, true), members }
  }

  #indexTypes(start: number, end: number): Uint32Array {
    const types = new Uint32Array(1 + Math.floor((end - start) / TYPE_BYTES))
    let count = 1
    for (let at = start; at < end; ) {
      const [fixed, each] = (at + TYPE_BYTES <= end ? EXTRA[this.#kindAt(at)] : undefined) ?? []
      if (fixed === undefined || each === undefined) throw new Refusal(`its BTF has no type at byte ${at - start}`)
      types[count++] = at
      at += TYPE_BYTES + fixed + each * this.#membersAt(at)
      if (at > end) throw new Refusal(`its BTF has a type that goes on behind their end`)
    }
    return types.subarray(0, count)
  }

  // The bits around both have always been zero, and are set aside to make them wider.
  #kindAt(at: number): number {
    return (this.#view.getUint32(at + 4, true) >>> 24) & 0x7f
  }

  #membersAt(at: number): number {
    return this.#view.getUint32(at + 4, true) & 0xff_ffff
  }

  #isNamed(offset: number, name: string): boolean {
    const at = this.#stringsAt + offset
    if (at + name.length >= this.#stringsEnd || this.#bytes[at + name.length] !== 0) return false
    for (let i = 0; i < name.length; i++) if (this.#bytes[at + i] !== name.charCodeAt(i)) return false
    return true
  }

  /** At most 128 characters: no member that is asked for has more. */
  #text(offset: number): string {
    const start = this.#stringsAt + offset
    if (start >= this.#stringsEnd) return ''
    const end = this.#bytes.subarray(start, Math.min(start + 128, this.#stringsEnd)).indexOf(0)
    return end === -1 ? '' : String.fromCharCode(...this.#bytes.subarray(start, start + end))
  }
}
