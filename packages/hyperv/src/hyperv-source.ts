/** A part of guest RAM in a file. All numbers count bytes. */
export interface FileRegion {
  /** Guest physical address. */
  readonly gpa: number
  readonly size: number
  readonly file: string
  /** Where in the file the region begins. */
  readonly offset: number
}

/** Guest RAM in files, with what the host knows of it. At least one of `ranges`, `messages` and `backing` is given. */
export interface FilesSource {
  readonly kind: 'files'
  readonly regions: readonly FileRegion[]
  /** A JSON file, `{ "ballooned": [[start, count], …], "hotAdded": [[start, count], …] }`, in frames of 4096 bytes. */
  readonly ranges?: string | undefined
  /** Dynamic Memory messages in the order of the wire: one `{ "from": "guest" | "host", "hex": "…" }` a line. */
  readonly messages?: string | undefined
  /**
   * A JSON file, `{ "regions": [ [ [startByte, endByte], … ], … ] }`: for each region the byte ranges of its *file* that
   * hold data.
   */
  readonly backing?: string | undefined
  /** An ELF core with the guest's notes, such as QEMU's one-frame dump. */
  readonly notes?: string | undefined
}

/** A saved state of Hyper-V: the file that `Save-VM`, or a checkpoint of a running guest, leaves. */
export interface SavedStateSource {
  readonly kind: 'saved-state'
  /** A .vmrs file. */
  readonly file: string
}

/** A live guest of a QEMU on this host that is its Dynamic Memory host (hv-balloon, QEMU 8.2 and later). */
export interface QmpSource {
  readonly kind: 'qmp'
  /** Path of a QMP socket that nobody else uses (`-qmp unix:PATH,server=on,wait=off`). */
  readonly socket: string
  /** QEMU's log with its trace events (`-trace 'hv_balloon_*' -D FILE`), from the start of this QEMU on. */
  readonly trace?: string | undefined
}

/** Where a Hyper-V guest is. */
export type HypervSource = FilesSource | SavedStateSource | QmpSource

export interface OpenHypervOptions {
  /** Folder for what must outlive this process: locks, and records of guests that are paused. Made when missing. */
  readonly stateDir: string
  /** Folder that relative paths in the source are relative to. */
  readonly baseDir: string
  readonly signal?: AbortSignal | undefined
  /** How the guardian of a paused guest is started; see the README of `@ullage/qemu`. */
  readonly guardianScope?: 'session' | 'systemd' | undefined
  /** The guest is going to be paused: what guards it then is started at once. */
  readonly pauses?: boolean | undefined
}
