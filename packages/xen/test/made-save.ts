const FRAME_BYTES = 4096
const CONTEXT_BYTES = 0x1430
const HVM_CPU_BYTES = 1032

/** One record of either stream, and what is to be wrong with it. */
export interface MadeRecord {
  readonly type: number
  readonly body?: Uint8Array
  /** What its header says, when that is not the size of the body. */
  readonly length?: number
}

/** An entry of PAGE_DATA. Its page, where the type has one, is filled with `fill`. */
export interface MadePage {
  readonly pfn: bigint
  readonly type?: number
  readonly fill?: number
}

/** An image of a few pages as `xl save` lays it out, and what is to be wrong with it. */
export interface MadeSave {
  readonly kind?: 'pv' | 'hvm'
  /** Records of PAGE_DATA, one for each list. */
  readonly pages?: readonly (readonly MadePage[])[]
  /** Replaces all records of libxc's stream but for its headers. */
  readonly records?: readonly MadeRecord[]
  /** Records after those that are usual, before END. */
  readonly more?: readonly MadeRecord[]
  /** Types of libxc's records that are left out. */
  readonly without?: readonly number[]
  /** Records of libxl's stream after the domain; without it only END. */
  readonly libxl?: readonly MadeRecord[]
  readonly xl?: {
    readonly magic?: string
    readonly byteorder?: number
    readonly flags?: number
    readonly dataBytes?: number
    readonly configBytes?: number
  }
  /** JSON, or any text; null for none. */
  readonly config?: unknown
  readonly libxlHeader?: { readonly ident?: bigint; readonly version?: number; readonly options?: number }
  readonly image?: {
    readonly marker?: bigint
    readonly id?: number
    readonly version?: number
    readonly options?: number
    readonly type?: number
    readonly pageShift?: number
  }
  readonly maxPfn?: bigint
  readonly guestWidth?: number
  readonly p2mEnd?: number
}

/** The bytes of the image. */
export function makeSave(save: MadeSave): Uint8Array {
  return Buffer.concat([
    xlHeader(save),
    bigEndian([
      [8, save.libxlHeader?.ident ?? 0x4c69_6278_6c46_6d74n],
      [4, save.libxlHeader?.version ?? 2],
      [4, save.libxlHeader?.options ?? 0],
    ]),
    record({ type: 1 }),
    imageHeader(save),
    ...(save.records ?? usualRecords(save)).filter(({ type }) => !save.without?.includes(type)).map(record),
    ...(save.libxl ?? [{ type: 0 }]).map(record),
  ])
}

/** PAGE_DATA with these entries. */
export function pageData(pages: readonly MadePage[]): MadeRecord & { readonly body: Uint8Array } {
  const withPage = pages.filter(({ type = 0 }) => type < 0xd)
  const words = pages.map(({ pfn, type = 0 }) => BigInt.asUintN(64, (BigInt(type) << 60n) | pfn))
  const content = withPage.map(({ fill = 0 }) => new Uint8Array(FRAME_BYTES).fill(fill))
  return { type: 1, body: Buffer.concat([little([[8, BigInt(pages.length)], ...sized(words)]), ...content]) }
}

/** A context of vCPU `vcpu`, with CR3. */
export function pvVcpu(vcpu: number, cr3: bigint): MadeRecord {
  const context = new Uint8Array(CONTEXT_BYTES)
  new DataView(context.buffer).setBigUint64(0x1378 + 24, cr3, true)
  return { type: 4, body: Buffer.concat([little([[8, BigInt(vcpu)]]), context]) }
}

/** An HVM context: its header, a vCPU for each CR3, its end. `parts` replaces all. */
export function hvmContext(cr3s: readonly bigint[], parts?: readonly Uint8Array[]): MadeRecord {
  const cpus = cr3s.map((cr3, vcpu) => {
    const cpu = new Uint8Array(HVM_CPU_BYTES)
    new DataView(cpu.buffer).setBigUint64(512 + 18 * 8 + 16, cr3, true)
    return hvmPart(2, cpu, { instance: vcpu })
  })
  const all = parts ?? [hvmHeader(), ...cpus, hvmPart(0, new Uint8Array(0))]
  return { type: 9, body: Buffer.concat(all) }
}

export function hvmHeader(magic = 0x5438_1286): Uint8Array {
  return hvmPart(
    1,
    little([
      [4, magic],
      [4, 1],
      [8, 0],
      [8, 0],
    ]),
  )
}

export function hvmPart(type: number, body: Uint8Array, said: { instance?: number; length?: number } = {}): Uint8Array {
  const header = little([
    [2, type],
    [2, said.instance ?? 0],
    [4, said.length ?? body.length],
  ])
  return Buffer.concat([header, body])
}

function usualRecords(save: MadeSave): MadeRecord[] {
  const pages = (save.pages ?? [[{ pfn: 0n, fill: 1 }]]).map(pageData)
  const more = save.more ?? []
  if (save.kind !== 'pv') {
    return [{ type: 0x11, body: new Uint8Array(24) }, { type: 0x10 }, ...pages, hvmContext([0x1000n]), ...more, END]
  }
  const info = Uint8Array.of(save.guestWidth ?? 8, 4, 0, 0, 0, 0, 0, 0)
  const end = save.p2mEnd ?? 511
  const p2m = little([[4, 0], [4, end], ...sized(Array.from({ length: Math.floor(end / 512) + 1 }, () => 1n))])
  const shared = new Uint8Array(FRAME_BYTES)
  new DataView(shared.buffer).setBigUint64(0xc10, save.maxPfn ?? 512n, true)
  return [
    { type: 2, body: info },
    { type: 0x10 },
    { type: 3, body: p2m },
    ...pages,
    { type: 7, body: shared },
    pvVcpu(0, 0x2000n),
    ...more,
    END,
  ]
}

const END: MadeRecord = { type: 0 }

function record({ type, body = new Uint8Array(0), length }: MadeRecord): Uint8Array {
  const header = little([
    [4, type],
    [4, length ?? body.length],
  ])
  return Buffer.concat([header, body, new Uint8Array((8 - (body.length % 8)) % 8)])
}

function xlHeader({ xl = {}, config, kind }: MadeSave): Uint8Array {
  const said = config === undefined ? { c_info: { type: kind ?? 'pvh' }, b_info: { max_memkb: 4096 } } : config
  const text = said === null ? '' : `${typeof said === 'string' ? said : JSON.stringify(said)}\0`
  const bytes = Buffer.from(text)
  const data = said === null ? new Uint8Array(0) : Buffer.concat([little([[4, xl.configBytes ?? bytes.length]]), bytes])
  const numbers = little([
    [4, xl.byteorder ?? 0x0102_0304],
    [4, xl.flags ?? 3],
    [4, 0],
    [4, xl.dataBytes ?? data.length],
  ])
  return Buffer.concat([Buffer.from(xl.magic ?? 'Xen saved domain, xl format\n \0 \r', 'latin1'), numbers, data])
}

function imageHeader({ image = {}, kind }: MadeSave): Uint8Array {
  const header = bigEndian([
    [8, image.marker ?? 2n ** 64n - 1n],
    [4, image.id ?? 0x5845_4e46],
    [4, image.version ?? 3],
    [2, image.options ?? 0],
    [2, 0],
    [4, 0],
  ])
  const domain = little([
    [4, image.type ?? (kind === 'pv' ? 1 : 2)],
    [2, image.pageShift ?? 12],
    [2, 0],
    [4, 4],
    [4, 17],
  ])
  return Buffer.concat([header, domain])
}

type Sized = readonly [number, number | bigint]

function sized(words: readonly bigint[]): Sized[] {
  return words.map((word) => [8, word] as const)
}

function little(values: readonly Sized[]): Uint8Array {
  return encode(values, true)
}

function bigEndian(values: readonly Sized[]): Uint8Array {
  return encode(values, false)
}

function encode(values: readonly Sized[], isLittle: boolean): Uint8Array {
  const bytes = new Uint8Array(values.reduce((sum, [size]) => sum + size, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const [size, value] of values) {
    if (size === 8) view.setBigUint64(at, BigInt(value), isLittle)
    else if (size === 4) view.setUint32(at, Number(value), isLittle)
    else view.setUint16(at, Number(value), isLittle)
    at += size
  }
  return bytes
}
