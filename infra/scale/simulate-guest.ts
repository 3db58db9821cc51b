const GIB = 2 ** 30
const FRAME_BYTES = 4096
const FRAMES_PER_GIB = GIB / FRAME_BYTES

/** What a dump costs by the GiB, of one codec. Times in milliseconds. */
export interface UnitCosts {
  /** Before and after all else: the start of the process. */
  readonly startMs: number
  /** Per GiB of guest, with as many threads as were used when it was measured. */
  readonly classifyMsPerGib: number
  readonly classifyCpuMsPerGib: number
  /** CPU per GiB of pages written: read, test for zeros, compress, append. */
  readonly writeCpuMsPerGib: number
  /** One thread that only reads, per GiB. */
  readonly readMsPerGib: number
  /** CPU per GiB of pages verified: read, sha256, decompress. */
  readonly verifyCpuMsPerGib: number
  /** One thread that only takes the sha256, per GiB of file. */
  readonly hashMsPerGib: number
  /** Bytes of file per byte of pages written. */
  readonly bytesOut: number
  /** Most memory of the process that dumped a guest of `peakGib`. */
  readonly peakBytes: number
  readonly peakGib: number
  /** What each frame of guest adds to that. */
  readonly bitsPerFrame: number
}

export interface GuestShape {
  readonly gib: number
  /** Pages of content to write, of the guest's RAM: 0 to 1. */
  readonly writtenShare: number
  readonly jobs: number
  /** `--memory`: pages that fit are copied, and the guest goes on while they are compressed. */
  readonly memoryBytes: number
}

export interface GuestCost {
  readonly writtenBytes: number
  readonly artifactBytes: number
  readonly classifyMs: number
  readonly writeMs: number
  readonly verifyMs: number
  readonly totalMs: number
  readonly pausedMs: number
  readonly cpuMs: number
  readonly peakBytes: number
}

/**
 * One dump by arithmetic. Writing and verifying divide their CPU among the jobs, but neither is faster than the one thread
 * that reads, or that takes the sha256.
 */
export function simulateGuest(shape: GuestShape, costs: UnitCosts): GuestCost {
  const { gib, writtenShare, jobs, memoryBytes } = shape
  const written = gib * writtenShare
  const writtenBytes = written * GIB
  const artifactGib = written * costs.bytesOut
  const copyMs = written * costs.readMsPerGib
  const classifyMs = gib * costs.classifyMsPerGib
  const writeMs = Math.max((written * costs.writeCpuMsPerGib) / jobs, copyMs)
  const verifyMs = Math.max((written * costs.verifyCpuMsPerGib) / jobs, artifactGib * costs.hashMsPerGib)
  return {
    writtenBytes,
    artifactBytes: artifactGib * GIB,
    classifyMs,
    writeMs,
    verifyMs,
    totalMs: costs.startMs + classifyMs + writeMs + verifyMs,
    pausedMs: classifyMs + (writtenBytes <= memoryBytes ? copyMs : writeMs),
    cpuMs: gib * costs.classifyCpuMsPerGib + written * (costs.writeCpuMsPerGib + costs.verifyCpuMsPerGib),
    peakBytes: costs.peakBytes + ((gib - costs.peakGib) * FRAMES_PER_GIB * costs.bitsPerFrame) / 8,
  }
}

/** Milliseconds that so many bytes take on a link of so many Gbit/s (10⁹) that nobody else uses. */
export function transferMs(bytes: number, gbitPerSecond: number): number {
  return (bytes * 8) / (gbitPerSecond * 1e6)
}
