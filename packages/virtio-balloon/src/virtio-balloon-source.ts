/** A live guest of a QEMU on this host. */
export interface QmpSource {
  readonly kind: 'qmp'
  /** Path of a QMP socket that nobody else uses (`-qmp unix:PATH,server=on,wait=off`). */
  readonly socket: string
}

/** A part of guest RAM in a file. All numbers count bytes. */
export interface FileRegion {
  /** Guest physical address. */
  readonly gpa: number
  readonly size: number
  readonly file: string
  /** Where in the file the region begins. */
  readonly offset: number
}

/** Guest RAM in files: of a guest that is stopped, or gone. */
export interface FilesSource {
  readonly kind: 'files'
  readonly regions: readonly FileRegion[]
  /**
   * A JSON file, `{ "regions": [ [ [startByte, endByte], … ], … ] }`: for each region the byte ranges of its *file* that
   * hold data. Without it the files' own holes are asked, which a copy may have lost.
   */
  readonly backing?: string | undefined
  /** An ELF core with the guest's notes, such as QEMU's one-frame dump. */
  readonly notes?: string | undefined
}

/** Where a guest with a virtio balloon is. */
export type VirtioBalloonSource = QmpSource | FilesSource

export interface OpenVirtioBalloonOptions {
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
