import { Elf64_Ehdr, type Elf64Ehdr, Elf64_Shdr, encodeElfNote } from '@ullage/layout'

const FRAME_BYTES = 4096
const CONTEXT_BYTES = 0x1430
const CTRLREG_BYTES = 0x1378

/** A core of a few pages as `xl dump-core` lays it out, and what is to be wrong with it. */
export interface MadeCore {
  readonly kind?: 'pv' | 'hvm'
  /** Frames in file order; 2^64 - 1 is padding. */
  readonly frames: readonly bigint[]
  /** Machine frames of a PV guest; without them frame + 0x1000. */
  readonly machine?: readonly bigint[]
  readonly header?: Partial<Record<'magic' | 'vcpus' | 'pages' | 'pageBytes', bigint>>
  readonly version?: bigint
  readonly notes?: readonly Uint8Array[]
  readonly elf?: Partial<Elf64Ehdr>
  /** CR3 of each vCPU; one of zeros without it. */
  readonly cr3s?: readonly bigint[]
  /** `shared_info.arch.max_pfn`. */
  readonly maxPfn?: bigint
  /** Sections that are left out, renamed or changed in the section headers. */
  readonly without?: readonly string[]
  readonly rename?: Readonly<Record<string, string>>
  readonly sections?: Readonly<Record<string, { readonly offset?: bigint; readonly size?: bigint }>>
  /** Content of the page at an index. */
  page?(index: number): number
}

/** The bytes of the core file. Page `i` is filled with the byte i + 1. */
export function makeCore(core: MadeCore): Uint8Array {
  const isPv = core.kind === 'pv'
  const pages = core.frames.length
  const table = isPv
    ? words(core.frames.flatMap((frame, i) => [frame, core.machine?.[i] ?? frame + 0x1000n]))
    : words(core.frames)
  const magic = core.header?.magic ?? (isPv ? 0xf00f_ebedn : 0xf00f_ebeen)
  const cr3s = core.cr3s ?? [0n]
  const counts = [
    core.header?.vcpus ?? BigInt(cr3s.length),
    core.header?.pages ?? BigInt(pages),
    core.header?.pageBytes ?? 4096n,
  ]
  const notes = core.notes ?? [
    encodeElfNote('Xen', 0x200_0000, new Uint8Array(0)),
    encodeElfNote('Xen', 0x200_0001, words([magic, ...counts])),
    encodeElfNote('Xen', 0x200_0003, words([core.version ?? 1n])),
  ]
  const shared = new Uint8Array(FRAME_BYTES)
  new DataView(shared.buffer).setBigUint64(0xc10, core.maxPfn ?? 0n, true)
  const content = new Uint8Array(pages * FRAME_BYTES)
  for (let i = 0; i < pages; i++) content.fill(core.page?.(i) ?? i + 1, i * FRAME_BYTES, (i + 1) * FRAME_BYTES)
  const all: readonly (readonly [string, Uint8Array])[] = [
    ['.note.Xen', Buffer.concat(notes)],
    ['.xen_prstatus', contexts(cr3s)],
    ['.xen_shared_info', shared],
    ['.xen_pages', content],
    [isPv ? '.xen_p2m' : '.xen_pfn', table],
  ]
  const kept = all.filter(([name]) => !core.without?.includes(name))
  return assemble(
    kept.map(([name, bytes]) => ({ name: core.rename?.[name] ?? name, bytes, changed: core.sections?.[name] })),
    core.elf ?? {},
  )
}

function contexts(cr3s: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(cr3s.length * CONTEXT_BYTES)
  const view = new DataView(bytes.buffer)
  cr3s.forEach((cr3, i) => view.setBigUint64(i * CONTEXT_BYTES + CTRLREG_BYTES + 24, cr3, true))
  return bytes
}

interface Section {
  readonly name: string
  readonly bytes: Uint8Array
  readonly changed: { readonly offset?: bigint; readonly size?: bigint } | undefined
}

function assemble(sections: readonly Section[], elf: Partial<Elf64Ehdr>): Uint8Array {
  const names = Buffer.from(['', '.shstrtab', ...sections.map(({ name }) => name), ''].join('\0'), 'latin1')
  const count = sections.length + 2
  let at = Elf64_Ehdr.size + count * Elf64_Shdr.size
  const placed = [...sections, { name: '.shstrtab', bytes: names, changed: undefined }].map((section) => {
    const offset = at
    at += section.bytes.length
    return { ...section, offset }
  })
  const file = new Uint8Array(at)
  const ident = Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0])
  Elf64_Ehdr.write(file, 0, {
    e_ident: ident,
    e_type: 4,
    e_machine: 62,
    e_version: 1,
    e_entry: 0n,
    e_phoff: 0n,
    e_shoff: 64n,
    e_flags: 0,
    e_ehsize: 64,
    e_phentsize: 56,
    e_phnum: 0,
    e_shentsize: 64,
    e_shnum: count,
    e_shstrndx: count - 1,
    ...elf,
  })
  placed.forEach(({ name, bytes, changed, offset }, i) => {
    file.set(bytes, offset)
    Elf64_Shdr.write(file, Elf64_Ehdr.size + (i + 1) * Elf64_Shdr.size, {
      sh_name: names.indexOf(`\0${name}\0`) + 1,
      sh_type: 1,
      sh_flags: 0n,
      sh_addr: 0n,
      sh_offset: changed?.offset ?? BigInt(offset),
      sh_size: changed?.size ?? BigInt(bytes.length),
      sh_link: 0,
      sh_info: 0,
      sh_addralign: 0n,
      sh_entsize: 0n,
    })
  })
  return file
}

function words(values: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values).buffer)
}
