import { type CpuSegment, type CpuState, type Infer, LayoutError, toSafeNumber } from '@ullage/layout'
import { unsupported } from './storage-file.ts'
import {
  Chunk,
  ChunkHeader,
  ControlRegisters,
  GeneralRegisters,
  MSR_KERNEL_GS_BASE,
  PROLOG_VENDOR_OFFSET,
  SavedStateDescriptor,
  SegmentRegisters,
  TableRegisters,
  VENDOR_ARM,
  VirtualMsrs,
} from './storage-layout.ts'

/** Between the descriptor and the first chunk. */
const GAP_BYTES = 16
/** Of one virtual machine. */
const MAX_VPS = 2048

type Segment = Infer<typeof SegmentRegisters>['values'][number]

/** What is known of one virtual processor in VTL 0, the level a guest's own kernel runs at. */
interface Vp {
  general?: readonly bigint[]
  control?: readonly bigint[]
  segments?: readonly Segment[]
  tables?: Infer<typeof TableRegisters>
  msrs?: readonly bigint[]
}

/**
 * Registers of the virtual processors, ascending by number, from the value of `partition_state`: a descriptor, then chunks
 * of registers, each after the marks of its processor and its trust level. Processors without general registers of VTL 0
 * are left out. Throws LayoutError when the value breaks its format and OfflineError UNSUPPORTED for an arm64 guest.
 */
export function readPartitionState(file: { readonly path: string }, bytes: Uint8Array): CpuState[] {
  const { headerSize, totalSize } = SavedStateDescriptor.read(bytes)
  if (totalSize > BigInt(bytes.length)) {
    throw new LayoutError(`the partition state counts ${totalSize} bytes, it has ${bytes.length}`)
  }
  const vps = new Map<number, Vp>()
  let vp: Vp | undefined
  let vtl = 0
  for (const { id, data } of chunks(bytes, toSafeNumber(headerSize, 'the size of its header') + GAP_BYTES)) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    if (id === Chunk.prolog && vendorOf(view) === VENDOR_ARM) {
      throw unsupported(file, 'the state of an x86_64 guest', 'that of an arm64 guest')
    }
    if (id === Chunk.vp) {
      vp = vpAt(vps, exact(view, 4, 'the mark of a processor').getUint32(0, true))
      vtl = 0
    } else if (id === Chunk.vpVtl) vtl = exact(view, 1, 'the mark of a trust level').getUint8(0)
    else if (vp && vtl === 0) take(vp, id, data)
  }
  return [...vps].sort(([a], [b]) => a - b).flatMap(([, one]) => toCpuState(one))
}

function vendorOf(view: DataView): number | undefined {
  return view.byteLength >= PROLOG_VENDOR_OFFSET + 4 ? view.getUint32(PROLOG_VENDOR_OFFSET, true) : undefined
}

function vpAt(vps: Map<number, Vp>, number: number): Vp {
  if (number >= MAX_VPS) throw new LayoutError(`expected processors below ${MAX_VPS}, found ${number}`)
  const vp = vps.get(number) ?? {}
  vps.set(number, vp)
  return vp
}

/** Chunks up to the epilog. Those that are not known are passed over by their size. */
function* chunks(bytes: Uint8Array, start: number): Generator<{ id: number; data: Uint8Array }> {
  for (let at = start; ; ) {
    const { id, size } = ChunkHeader.read(bytes, at)
    const from = at + ChunkHeader.size
    if (size > bytes.length - from) {
      throw new LayoutError(
        `chunk 0x${id.toString(16)} at byte ${at} has ${size} bytes, ${bytes.length - from} are left`,
      )
    }
    if (id === Chunk.epilog) return
    yield { id, data: bytes.subarray(from, from + size) }
    at = from + size
  }
}

function take(vp: Vp, id: number, data: Uint8Array): void {
  if (id === Chunk.generalRegisters) vp.general = whole(GeneralRegisters, data).values
  else if (id === Chunk.controlRegisters) vp.control = whole(ControlRegisters, data).values
  else if (id === Chunk.segmentRegisters) vp.segments = whole(SegmentRegisters, data).values
  else if (id === Chunk.tableRegisters) vp.tables = whole(TableRegisters, data)
  // One public source: of another size than its it is left alone.
  else if (id === Chunk.virtualMsrs && data.length === VirtualMsrs.size) vp.msrs = VirtualMsrs.read(data).values
}

function whole<T>(
  layout: { readonly name: string; readonly size: number; read(bytes: Uint8Array): T },
  data: Uint8Array,
): T {
  if (data.length !== layout.size) {
    throw new LayoutError(`expected ${layout.size} bytes of ${layout.name}, found ${data.length}`)
  }
  return layout.read(data)
}

function exact(view: DataView, leastBytes: number, what: string): DataView {
  if (view.byteLength < leastBytes)
    throw new LayoutError(`expected ${leastBytes} bytes of ${what}, found ${view.byteLength}`)
  return view
}

function toCpuState({ general, control, segments, tables, msrs }: Vp): CpuState[] {
  if (!general) return []
  const pick = (...indices: readonly number[]): bigint[] => indices.map((index) => general[index] as bigint)
  const at = (index: number): CpuSegment => toSegment(segments?.[index])
  const [rsp, rip, rflags] = pick(4, 16, 17) as [bigint, bigint, bigint]
  const [cr0, cr2, cr3, cr4] = control ?? []
  return [
    {
      general: pick(15, 14, 13, 12, 5, 3, 11, 10, 9, 8, 0, 1, 2, 6, 7),
      rip,
      rflags,
      rsp,
      segments: {
        es: at(0),
        cs: at(1),
        ss: at(2),
        ds: at(3),
        fs: at(4),
        gs: at(5),
        ldt: at(6),
        tr: at(7),
        gdt: toTable(tables?.gdtr),
        idt: toTable(tables?.idtr),
      },
      cr: [cr0 ?? 0n, 0n, cr2 ?? 0n, cr3 ?? 0n, cr4 ?? 0n],
      otherGsBase: msrs?.[MSR_KERNEL_GS_BASE] ?? 0n,
    },
  ]
}

/** Hyper-V has bits 40 to 55 of a descriptor as attributes, QEMU its high word: the same bits, 8 further up. */
function toSegment(segment: Segment | undefined): CpuSegment {
  const { selector, limit, attributes, base } = segment ?? { selector: 0, limit: 0, attributes: 0, base: 0n }
  return { selector, limit, flags: attributes * 2 ** 8, base }
}

function toTable(table: Infer<typeof TableRegisters>['gdtr'] | undefined): CpuSegment {
  return { selector: 0, limit: table?.limit ?? 0, flags: 0, base: table?.base ?? 0n }
}
