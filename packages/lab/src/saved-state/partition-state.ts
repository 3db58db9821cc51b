/** Registers of one virtual processor of a made saved state. */
export interface MadeVp {
  readonly index: number
  /** rax rcx rdx rbx rsp rbp rsi rdi r8 … r15 rip rflags. */
  readonly general: readonly bigint[]
  /** cr0 cr2 cr3 cr4 cr8 efer. */
  readonly control: readonly bigint[]
  /** es cs ss ds fs gs ldtr tr: base, limit, selector, attributes. */
  readonly segments: readonly (readonly [bigint, number, number, number])[]
  /** Limit and base. */
  readonly idtr?: readonly [number, bigint]
  readonly gdtr?: readonly [number, bigint]
  readonly kernelGsBase?: bigint
}

/**
 * The value of `/savedstate/savedVM/partition_state`, as microsoft/openvmm vmm_core/hyperv_dump and
 * vm/hv1/hvdef/src/save_restore.rs describe it.
 *
 * @param options.vtl the trust level that the registers are of.
 * @param options.vendor the processor's maker: 0 AMD, 1 Intel, 16 ARM.
 */
export function encodePartitionState(
  vps: readonly MadeVp[],
  options: { vtl?: number; vendor?: number } = {},
): Uint8Array {
  const { vtl = 0, vendor = 1 } = options
  const prolog = Buffer.alloc(4064)
  prolog.writeUInt32LE(0x5054_6475)
  prolog.writeUInt32LE(vendor, 8)
  const chunks = [
    chunk(0, prolog),
    chunk(0x2000_1000, Buffer.alloc(16)),
    chunk(0x2000_8000, Buffer.alloc(16, 0).fill(vtl, 0, 1)),
    ...vps.flatMap((vp) => vpChunks(vp, vtl)),
    chunk(0xf000_0000, Buffer.alloc(0)),
  ]
  const body = Buffer.concat(chunks)
  return Buffer.concat([words([24n, 24n, BigInt(40 + body.length)]), Buffer.alloc(16), body])
}

function vpChunks(vp: MadeVp, vtl: number): Buffer[] {
  const mark = Buffer.alloc(16)
  mark.writeUInt32LE(vp.index)
  const segments = Buffer.alloc(144)
  vp.segments.forEach(([base, limit, selector, attributes], i) => {
    segments.writeBigUInt64LE(base, i * 16)
    segments.writeUInt32LE(limit, i * 16 + 8)
    segments.writeUInt16LE(selector, i * 16 + 12)
    segments.writeUInt16LE(attributes, i * 16 + 14)
  })
  const tables = Buffer.alloc(32)
  ;[vp.idtr ?? [0, 0n], vp.gdtr ?? [0, 0n]].forEach(([limit, base], i) => {
    tables.writeUInt16LE(Number(limit), i * 16 + 6)
    tables.writeBigUInt64LE(BigInt(base), i * 16 + 8)
  })
  return [
    chunk(0x3000_1000, mark),
    chunk(0x3001_a000, Buffer.alloc(16).fill(vtl, 0, 1)),
    chunk(0x3000_5000, words(vp.general)),
    chunk(0x3000_7000, words(vp.control)),
    chunk(0x3000_9000, segments),
    chunk(0x3000_a000, tables),
    chunk(0x3000_b000, words([0n, vp.kernelGsBase ?? 0n, ...Array.from({ length: 10 }, () => 0n)])),
  ]
}

function chunk(id: number, data: Buffer): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(id)
  header.writeUInt32LE(data.length, 4)
  return Buffer.concat([header, data])
}

function words(values: readonly bigint[]): Buffer {
  return Buffer.from(BigUint64Array.from(values).buffer)
}
