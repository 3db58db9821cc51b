import { FIXTURE_NAMES, openMemoryView, unpackFixture } from '@ullage/lab'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GuestFrames } from '../src/guest-frames.ts'
import { findKernel } from '../src/find-kernel.ts'
import type { GuestView } from '../src/index.ts'
import type { Kernel } from '../src/kernel.ts'
import { findSymbols } from '../src/kexec/kallsyms.ts'
import { kexecLayout, type KexecLayout } from '../src/kexec/kexec-layout.ts'
import { readKernelTypes } from '../src/kexec/kernel-types.ts'
import { readKexecState } from '../src/kexec/kexec-state.ts'
import { Refusal } from '../src/refusal.ts'

const FRAME_BYTES = 4096
const NAMES = ['kexec_image', 'kexec_crash_image', '__start_BTF', '__stop_BTF', 'page_offset_base']

/** A kept guest whose memory can be written over, frame by frame, in a copy. */
class EditedView implements GuestView {
  readonly frameBytes = FRAME_BYTES
  readonly machine = 'x86_64'
  readonly edited = new Map<number, Uint8Array>()
  readonly #view: GuestView

  constructor(view: GuestView) {
    this.#view = view
  }

  get extents() {
    return this.#view.extents
  }

  toPfn(gfn: number): number | undefined {
    return gfn
  }

  tryRead(range: { start: number; count: number }, into: Uint8Array): boolean {
    if (!this.#view.tryRead(range, into)) return false
    for (const [pfn, bytes] of this.edited) {
      if (pfn >= range.start && pfn < range.start + range.count) into.set(bytes, (pfn - range.start) * FRAME_BYTES)
    }
    return true
  }

  /** The frame as it is now, to be written to. */
  frame(pfn: number): Uint8Array {
    let bytes = this.edited.get(pfn)
    if (!bytes) {
      bytes = new Uint8Array(FRAME_BYTES)
      if (!this.#view.tryRead({ start: pfn, count: 1 }, bytes)) throw new Error(`frame ${pfn} has no memory`)
      this.edited.set(pfn, bytes)
    }
    return bytes
  }
}

describe.each(FIXTURE_NAMES)('%s', (name) => {
  let view: EditedView
  let kernel: Kernel
  let layout: KexecLayout
  let addresses: ReadonlyMap<string, bigint>
  let close: () => void

  beforeAll(async () => {
    const fixture = await unpackFixture(name)
    const memory = openMemoryView(fixture.regions)
    close = () => memory[Symbol.dispose]()
    view = new EditedView(memory)
    kernel = (await findKernel(new GuestFrames(view), { elfNotes: fixture.elfNotes })).kernel
    addresses = findSymbols(kernel.memory, kernel.info, [...fixture.symbols.keys(), ...NAMES])
    // What /proc/kallsyms said in the guest.
    for (const [symbol, address] of fixture.symbols) expect([symbol, addresses.get(symbol)]).toEqual([symbol, address])
    layout = kexecLayout(readKernelTypes(kernel.memory, at('__start_BTF'), at('__stop_BTF')))
  })
  afterAll(() => close?.())

  function at(symbol: string): bigint {
    const address = addresses.get(symbol)
    if (address === undefined) throw new Error(`no ${symbol}`)
    return address
  }

  function pfnOf(address: bigint): number {
    const pfn = kernel.memory.toPfn(address)
    if (pfn === undefined) throw new Error(`0x${address.toString(16)} is not mapped`)
    return pfn
  }

  function write(address: bigint, value: bigint): void {
    const bytes = view.frame(pfnOf(address))
    new DataView(bytes.buffer).setBigUint64(Number(address % BigInt(FRAME_BYTES)), value, true)
  }

  /** Address of `pfn` in the kernel's map of all memory. */
  function direct(pfn: number): bigint {
    return (kernel.memory.readU64(at('page_offset_base')) as bigint) + BigInt(pfn * FRAME_BYTES)
  }

  /** Frames of the kernel's text serve as memory of a made image: nothing here runs. */
  const IMAGE = 0
  const LISTS = [1, 2] as const
  const text = (i: number): number => kernel.textPfn + 16 + i

  interface Made {
    readonly segments: readonly (readonly [mem: bigint, memsz: bigint])[]
    readonly count?: bigint
    readonly head?: bigint
    readonly entries?: readonly (readonly bigint[])[]
  }

  function load({ segments, count, head, entries = [] }: Made): void {
    view.edited.clear()
    kernel.memory.forget()
    const image = direct(text(IMAGE))
    for (let i = 0; i < FRAME_BYTES; i += 8) write(image + BigInt(i), 0n)
    write(image + BigInt(layout.nrSegments), count ?? BigInt(segments.length))
    segments.forEach(([mem, memsz], i) => {
      const segment = image + BigInt(layout.segments + i * layout.segmentBytes)
      write(segment + BigInt(layout.mem), mem)
      write(segment + BigInt(layout.memsz), memsz)
    })
    write(image + BigInt(layout.controlPages), image + BigInt(layout.controlPages))
    write(image + BigInt(layout.head), head ?? 4n)
    entries.forEach((list, i) =>
      list.forEach((entry, k) => write(direct(text(LISTS[i] as number)) + BigInt(8 * k), entry)),
    )
    write(at('kexec_image'), image)
    kernel.memory.forget()
  }

  const page = (pfn: number): bigint => BigInt(pfn * FRAME_BYTES)
  const list = (i: number): bigint => page(text(LISTS[i] as number)) | 2n

  test('nothing is loaded', () => {
    view.edited.clear()
    kernel.memory.forget()
    expect(readKexecState(kernel)).toEqual({ images: [], crashkernel: [] })
  })

  test('an image: where it goes, and where it waits', () => {
    load({
      segments: [
        [0x100000n, 0x2000n],
        [0x200000n, 0x1000n],
      ],
      head: list(0),
      entries: [
        [0x100000n | 1n, page(5000) | 8n, list(1)],
        [page(5001) | 8n, 0x200000n | 1n, page(5007) | 8n, 4n],
      ],
    })
    const { images } = readKexecState(kernel)
    expect(images).toEqual([
      {
        kind: 'kexec',
        segments: [
          { start: 0x100, count: 2 },
          { start: 0x200, count: 1 },
        ],
        sources: [
          { start: 5000, count: 2 },
          { start: 5007, count: 1 },
          { start: text(1), count: 2 },
        ].sort((a, b) => a.start - b.start),
        control: [],
        faults: [],
      },
    ])
  })

  test.each<[string, () => Made, RegExp]>([
    ['too many segments', () => ({ segments: [], count: 1_000_000n }), /at most 16 segments/],
    ['a segment of half a page', () => ({ segments: [[0x100000n, 0x800n]] }), /segment 0/],
    ['a segment behind all memory', () => ({ segments: [[0xffff_ffff_ffff_f000n, 0x2000n]] }), /segment 0/],
    [
      'segments that overlap',
      () => ({
        segments: [
          [0x1000n, 0x2000n],
          [0x2000n, 0x1000n],
        ],
      }),
      /overlap/,
    ],
    ['segments larger than RAM', () => ({ segments: [[0x1000n, 0x8000_0000_0000n]] }), /its RAM has/],
  ])('an image with %s is refused', (_, made, message) => {
    load(made())
    expect(() => readKexecState(kernel)).toThrow(message)
  })

  test.each<[string, () => Partial<Made>, RegExp]>([
    ['that loops', () => ({ head: list(0), entries: [[list(0)]] }), /cannot be followed/],
    ['of two pages that loop', () => ({ head: list(0), entries: [[list(1)], [list(0)]] }), /cannot be followed/],
    ['outside RAM', () => ({ head: 0x7_ffff_ffff_f002n }), /cannot be followed/],
    [
      'of more pages than there are',
      () => ({ head: list(0), entries: [[page(5000) | 8n, page(5001) | 8n, 4n]] }),
      /no page of it/,
    ],
    ['of a source outside RAM', () => ({ head: list(0), entries: [[0x7_ffff_ffff_f008n, 4n]] }), /no page of it/],
    ['without an end', () => ({ head: list(0), entries: [Array.from({ length: 512 }, () => 1n)] }), /without an end/],
  ])('a list of entries %s is given up, and that is told', (_, made, message) => {
    load({ segments: [[0x100000n, 0x1000n]], ...made() })
    const { images } = readKexecState(kernel)
    expect(images[0]?.segments).toEqual([{ start: 0x100, count: 1 }])
    expect(images[0]?.faults.join()).toMatch(message)
  })

  test('a list of control pages that loops is given up, and that is told', () => {
    load({ segments: [] })
    const node = direct(text(LISTS[0]))
    write(direct(text(IMAGE)) + BigInt(layout.controlPages), node)
    write(node, node)
    kernel.memory.forget()
    const { images } = readKexecState(kernel)
    expect(images[0]?.faults.at(-1)).toMatch(/list of control pages/)
  })

  test('whatever symbols and types are written over with: an answer or a refusal, no read of what is not there', () => {
    const places = [
      at('__start_BTF'),
      (at('__start_BTF') + at('__stop_BTF')) / 2n,
      ...['names', 'num_syms', 'token_table', 'token_index', 'offsets'].map(
        (table) => kernel.info.symbol(`kallsyms_${table}`) as bigint,
      ),
      at('kexec_image'),
    ]
    fc.assert(
      fc.property(
        fc.constantFrom(...places),
        fc.nat({ max: 256 }),
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        (place, offset, bytes) => {
          view.edited.clear()
          kernel.memory.forget()
          const from = place + BigInt(offset)
          const inFrame = Number(from % BigInt(FRAME_BYTES))
          view.frame(pfnOf(from)).set(bytes.subarray(0, FRAME_BYTES - inFrame), inFrame)
          kernel.memory.forget()
          try {
            for (const { segments } of readKexecState(kernel).images) expect(segments.length).toBeLessThanOrEqual(16)
          } catch (error) {
            if (!(error instanceof Refusal)) throw error
          }
        },
      ),
      { numRuns: 30 },
    )
  })
})
