import type { Era } from './era.ts'
import type { GuestTruth } from './guest-truth.ts'

/** Half-open byte range of a file. */
export interface ByteRange {
  readonly startByte: number
  readonly endByte: number
}

/** One file behind guest RAM and the byte ranges of it that the host backs. */
export interface BackedFile {
  readonly file: string
  readonly sizeBytes: number
  /** Bytes the host has allocated (st_blocks), fallocated but unwritten memory included. */
  readonly allocatedBytes: number
  /** SEEK_DATA to SEEK_HOLE, ascending. */
  readonly ranges: readonly ByteRange[]
}

/**
 * A real guest under QEMU's software emulation. It dies with this process, however that ends, and takes its files with it.
 */
export interface LabGuest extends AsyncDisposable {
  readonly era: Era
  /** QEMU's process. It is a session of its own. */
  readonly pid: number
  /** A QMP socket that nobody uses: the lab drives the guest through a monitor of its own. */
  readonly qmpSocket: string
  /** The guest's own folder; removed with it. Tests may put files here. */
  readonly folder: string
  /** A folder of the guest's own on tmpfs; removed with it. */
  readonly ramFolder: string
  /** The file behind `diskMiB`; undefined for a guest without a disk. What is written to it the guest's next read finds. */
  readonly disk: string | undefined
  /**
   * The files behind guest RAM, boot RAM first, virtio-mem second. A path in `/proc/PID/fd` where the file has no name.
   * Empty for `file-private` and `anonymous`, whose memory no file holds.
   */
  readonly ramFiles: readonly string[]
  /** Milliseconds from start to the guest's word that it is ready. */
  readonly bootMs: number
  /** What the kernel wrote to its console so far. */
  consoleText(): string
  /**
   * Has the balloon leave the guest `targetMiB` of its boot RAM (QEMU counts virtio-mem out) and waits until it has got
   * there; throws after a minute, of more than 256 MiB after one for each.
   */
  balloon(targetMiB: number): Promise<void>
  /** Asks the virtio-mem device for `requestedMiB` and waits until the guest has got there; throws after a minute. */
  requestVirtioMem(requestedMiB: number): Promise<void>
  /** One command on the lab's own monitor. Throws with QEMU's own words. */
  qmp(command: string, commandArguments?: Readonly<Record<string, unknown>>): Promise<unknown>
  /** One human monitor command, as text. */
  hmp(commandLine: string): Promise<string>
  /** What the guest's kernel says of itself and of each of its frames, this moment. The guest must run. */
  truth(): Promise<GuestTruth>
  /** Runs shell lines in the guest (busybox), returns what they printed; throws when they fail. */
  exec(script: string): Promise<string>
  stop(): Promise<void>
  cont(): Promise<void>
  /** QEMU's run state: `running`, `paused`, … */
  status(): Promise<string>
  /** Asks the host's file system which bytes of each of `ramFiles` it backs. */
  backedRanges(): readonly BackedFile[]
}
