import type { PfnRange } from '@ullage/pages'
import { encodeElfNote } from '@ullage/layout'
import type { GuestView } from '../src/index.ts'
import { ERA_LINES, type EraLines } from './era-lines.ts'

const FRAME_BYTES = 4096
const START_KERNEL_MAP = 0xffff_ffff_8000_0000n
const SECTION_FRAMES = 32_768

export interface SyntheticOptions {
  readonly era?: EraLines
  readonly fiveLevel?: boolean
  /** How far the kernel was moved in physical memory, a multiple of 2 MiB. */
  readonly physicalOffset?: number
  /** How far it was moved in virtual memory, a multiple of 2 MiB. */
  readonly virtualOffset?: number
  /** Maps the struct pages 4 KiB at a time. */
  readonly smallPages?: boolean
  /** `flat`: one array; `pointer`: SYMBOL(mem_section) is the address of the pointer to the array of roots. */
  readonly memSection?: 'extreme' | 'flat' | 'pointer'
  readonly extents?: readonly PfnRange[]
  readonly release?: string
  /** SIZE(page); 64 when left out. Others than 64 need `smallPages`. */
  readonly pageBytes?: number
  /** First frame of everything this kernel places: two kernels can share one memory. */
  readonly at?: number
}

/** Fields of one struct page, as every era but for the meaning of bits has them. */
export interface PageFields {
  readonly flags?: bigint
  readonly compoundHead?: bigint
  readonly dtor?: number
  readonly order?: number
  readonly mapping?: bigint
  readonly private?: bigint
  readonly mapcount?: number
  readonly refcount?: number
}

/** Guest memory in which a kernel's tables were put by hand. Throws when it is read where it must not be. */
export class SyntheticGuest implements GuestView {
  readonly frameBytes = FRAME_BYTES
  readonly machine = 'x86_64'
  readonly extents: readonly PfnRange[]
  readonly unbacked = new Set<number>()
  /** Frames read so far. */
  framesRead = 0
  readonly #frames = new Map<number, Uint8Array>()

  constructor(extents: readonly PfnRange[] = [{ start: 0, count: 2 * SECTION_FRAMES }]) {
    this.extents = extents
  }

  isReadable(range: PfnRange): boolean {
    for (let pfn = range.start; pfn < range.start + range.count; pfn++) {
      if (!this.#isRam(pfn) || this.unbacked.has(pfn)) return false
    }
    return true
  }

  tryRead(range: PfnRange, into: Uint8Array): boolean {
    if (!this.isReadable(range)) return false
    if (into.length !== range.count * FRAME_BYTES) throw new Error(`${into.length} bytes for ${range.count} frames`)
    this.framesRead += range.count
    for (let i = 0; i < range.count; i++) {
      const frame = this.#frames.get(range.start + i)
      if (frame) into.set(frame, i * FRAME_BYTES)
      else into.fill(0, i * FRAME_BYTES, (i + 1) * FRAME_BYTES)
    }
    return true
  }

  toPfn(gfn: number): number | undefined {
    return this.#isRam(gfn) ? gfn : undefined
  }

  /** The content of a frame, to be changed. */
  frame(pfn: number): Uint8Array {
    let frame = this.#frames.get(pfn)
    if (!frame) {
      frame = new Uint8Array(FRAME_BYTES)
      this.#frames.set(pfn, frame)
    }
    return frame
  }

  write(physicalBytes: number, bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      const at = physicalBytes + i
      this.frame(Math.floor(at / FRAME_BYTES))[at % FRAME_BYTES] = bytes[i] as number
    }
  }

  writeU64(physicalBytes: number, value: bigint): void {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true)
    this.write(physicalBytes, bytes)
  }

  readU64(physicalBytes: number): bigint {
    const frame = this.frame(Math.floor(physicalBytes / FRAME_BYTES))
    return new DataView(frame.buffer).getBigUint64(physicalBytes % FRAME_BYTES, true)
  }

  #isRam(pfn: number): boolean {
    return this.extents.some(({ start, count }) => pfn >= start && pfn < start + count)
  }
}

/** Frames of text, which are set aside at boot, and the flag that says so. */
const TEXT_FRAMES = 64
const RESERVED = 1n << 12n

/** One kernel's image, page tables, sections and struct pages in a synthetic guest. */
export class SyntheticKernel {
  readonly guest: SyntheticGuest
  readonly lines: Map<string, string>
  readonly rootPfn: number
  readonly textPfn: number
  /** Frame of the array that SYMBOL(mem_section) leads to. */
  readonly memSectionPfn: number
  readonly vmcoreinfoPfn: number
  readonly mapBase: bigint
  readonly #shifts: readonly number[]
  readonly #at: number
  readonly #pageBytes: number
  #nextTable: number

  constructor(guest: SyntheticGuest, options: SyntheticOptions = {}) {
    const { era = '6.12', fiveLevel = false, memSection = 'extreme', release = '6.12.0-synthetic' } = options
    this.guest = guest
    this.#at = options.at ?? 0
    this.#pageBytes = options.pageBytes ?? 64
    this.#shifts = fiveLevel ? [48, 39, 30, 21, 12] : [39, 30, 21, 12]
    this.mapBase = fiveLevel ? 0xffd4_0000_0000_0000n : 0xffff_ea00_0000_0000n
    const directMap = fiveLevel ? 0xff11_0000_0000_0000n : 0xffff_8880_0000_0000n

    const textPhysical = this.#at * FRAME_BYTES + 0x100_0000 + (options.physicalOffset ?? 0)
    const text = START_KERNEL_MAP + 0x100_0000n + BigInt(options.virtualOffset ?? 0)
    const physBase = BigInt(textPhysical) - (text - START_KERNEL_MAP)
    this.textPfn = textPhysical / FRAME_BYTES
    // The image: text, then the root table, then init_uts_ns, in one mapping of 2 MiB.
    this.rootPfn = this.textPfn + 16
    this.#nextTable = this.#at + 12_288
    this.map(text, this.textPfn, 21)
    const utsPhysical = textPhysical + 32 * FRAME_BYTES
    const utsOffset = era === '5.10' ? 4 : 0
    for (const [index, field] of ['Linux', 'host', release, '#1 SMP', 'x86_64', '(none)'].entries()) {
      guest.write(utsPhysical + utsOffset + index * 65, new TextEncoder().encode(field))
    }

    // mem_section: its array in the first frames, one page of structures after them.
    this.memSectionPfn = this.#at + 10_240
    const rootsVirtual = directMap + BigInt(this.memSectionPfn * FRAME_BYTES)
    const physicalBits = fiveLevel ? 52 : 46
    const sections = 2 ** (physicalBits - 27)
    const pointerFrame = this.memSectionPfn + 400
    const structsFrame = this.memSectionPfn + 401
    for (const pfn of [this.memSectionPfn, pointerFrame, structsFrame, structsFrame + 1]) {
      this.map(directMap + BigInt(pfn * FRAME_BYTES), pfn, 12)
    }
    guest.writeU64(pointerFrame * FRAME_BYTES, rootsVirtual)
    if (memSection !== 'flat') {
      guest.writeU64(this.memSectionPfn * FRAME_BYTES, directMap + BigInt(structsFrame * FRAME_BYTES))
    }
    const lastFrame = Math.max(...guest.extents.map(({ start, count }) => start + count - 1))
    for (let number = 0; number <= Math.floor(lastFrame / SECTION_FRAMES); number++) {
      // Present, with a map, online, early, and a flag that newer kernels have.
      guest.writeU64(this.sectionAt(number, memSection), this.mapBase | 0x2fn)
      this.#mapStructPages(number, options.smallPages ?? false)
    }

    this.lines = new Map(
      Object.entries({
        OSRELEASE: release,
        PAGESIZE: '4096',
        'SYMBOL(init_uts_ns)': (text + 32n * 4096n).toString(16),
        ...(era === '5.10' ? {} : { 'OFFSET(uts_namespace.name)': '0' }),
        'SYMBOL(swapper_pg_dir)': (text + 16n * 4096n).toString(16),
        'SYMBOL(_stext)': text.toString(16),
        'SYMBOL(mem_section)': (memSection === 'pointer'
          ? directMap + BigInt(pointerFrame * FRAME_BYTES)
          : rootsVirtual
        ).toString(16),
        'LENGTH(mem_section)': String(memSection === 'flat' ? sections : Math.ceil(sections / 256)),
        'SIZE(mem_section)': '16',
        'OFFSET(mem_section.section_mem_map)': '0',
        'NUMBER(SECTION_SIZE_BITS)': '27',
        'NUMBER(MAX_PHYSMEM_BITS)': String(physicalBits),
        'SIZE(page)': String(this.#pageBytes),
        'OFFSET(page.flags)': '0',
        'OFFSET(page._refcount)': '52',
        'OFFSET(page.mapping)': '24',
        'OFFSET(page._mapcount)': '48',
        'OFFSET(page.private)': '40',
        'LENGTH(zone.free_area)': '11',
        ...ERA_LINES[era],
        'NUMBER(phys_base)': String(physBase),
        'SYMBOL(init_top_pgt)': (text + 16n * 4096n).toString(16),
        'NUMBER(pgtable_l5_enabled)': fiveLevel ? '1' : '0',
        'NUMBER(KERNEL_IMAGE_SIZE)': '1073741824',
      }),
    )
    for (let i = 0; i < TEXT_FRAMES; i++) this.setPage(this.textPfn + i, { flags: RESERVED })
    this.vmcoreinfoPfn = this.#at + 11_000
    this.publish()
  }

  get vmcoreinfo(): string {
    return [...this.lines].map(([key, value]) => `${key}=${value}\n`).join('')
  }

  get note(): Uint8Array {
    return encodeElfNote('VMCOREINFO', 0, new TextEncoder().encode(this.vmcoreinfo))
  }

  /** Writes the lines into the kernel's VMCOREINFO page. */
  publish(): void {
    const frame = this.guest.frame(this.vmcoreinfoPfn)
    frame.fill(0)
    frame.set(new TextEncoder().encode(this.vmcoreinfo))
  }

  /** Physical address of the `struct mem_section` of a section. */
  sectionAt(number: number, memSection: 'extreme' | 'flat' | 'pointer' = 'extreme'): number {
    return (memSection === 'flat' ? this.memSectionPfn : this.memSectionPfn + 401) * FRAME_BYTES + number * 16
  }

  /** First of the frames with the struct pages of a section. Every second section shares them. */
  structPagesPfn(section: number): number {
    return this.#at + 8192 + (section % 2) * 1024
  }

  /** Maps `virtual` to `pfn` with an entry at address bit `shift`: 12, 21 or 30. */
  map(virtual: bigint, pfn: number, shift: number): void {
    let table = this.rootPfn
    for (const level of this.#shifts) {
      const at = table * FRAME_BYTES + Number((virtual >> BigInt(level)) & 511n) * 8
      if (level === shift) {
        this.guest.writeU64(at, (BigInt(pfn) << 12n) | 3n | (shift > 12 ? 0x80n : 0n) | (1n << 63n))
        return
      }
      let entry = this.guest.readU64(at)
      if (entry === 0n) {
        entry = (BigInt(this.#nextTable++) << 12n) | 0x63n
        this.guest.writeU64(at, entry)
      }
      table = Number((entry & 0x000f_ffff_ffff_f000n) >> 12n)
    }
  }

  /** Writes a struct page. What is not given is as in a page in use by nobody special. */
  setPage(pfn: number, fields: PageFields): void {
    const section = Math.floor(pfn / SECTION_FRAMES)
    const at = this.structPagesPfn(section) * FRAME_BYTES + (pfn % SECTION_FRAMES) * this.#pageBytes
    this.guest.write(at, structPageBytes(fields))
  }

  /** Virtual address of a frame's struct page. */
  pageAddress(pfn: number): bigint {
    return this.mapBase + BigInt(pfn * this.#pageBytes)
  }

  #mapStructPages(section: number, smallPages: boolean): void {
    const virtual = this.mapBase + BigInt(section * SECTION_FRAMES * this.#pageBytes)
    const pfn = this.structPagesPfn(section)
    const frames = (SECTION_FRAMES * this.#pageBytes) / FRAME_BYTES
    if (!smallPages) this.map(virtual, pfn, 21)
    else for (let i = 0; i < frames; i++) this.map(virtual + BigInt(i * FRAME_BYTES), pfn + i, 12)
    const frameWords = Array.from({ length: frames }, (_, i) => new Int32Array(this.guest.frame(pfn + i).buffer))
    for (let page = 0; page < SECTION_FRAMES; page++) {
      const word = (page * this.#pageBytes) / 4
      const at = frameWords[Math.floor((word + 12) / 1024)] as Int32Array
      at[(word + 12) % 1024] = -1
      const next = frameWords[Math.floor((word + 13) / 1024)] as Int32Array
      next[(word + 13) % 1024] = 1
    }
  }
}

/** The 64 bytes of a struct page. */
export function structPageBytes(fields: PageFields): Uint8Array {
  const bytes = new Uint8Array(64)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, fields.flags ?? 0n, true)
  view.setBigUint64(8, fields.compoundHead ?? 0n, true)
  view.setUint8(16, fields.dtor ?? 0)
  view.setUint8(17, fields.order ?? 0)
  view.setBigUint64(24, fields.mapping ?? 0n, true)
  view.setBigUint64(40, fields.private ?? 0n, true)
  view.setInt32(48, fields.mapcount ?? -1, true)
  view.setInt32(52, fields.refcount ?? 1, true)
  return bytes
}

/** A guest with one kernel in it. */
export function syntheticGuest(options: SyntheticOptions = {}): { guest: SyntheticGuest; kernel: SyntheticKernel } {
  const guest = new SyntheticGuest(options.extents)
  return { guest, kernel: new SyntheticKernel(guest, options) }
}
