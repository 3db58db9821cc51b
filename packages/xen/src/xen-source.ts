/** A core file that `xl dump-core` wrote of a guest. */
export interface CoreSource {
  readonly kind: 'core'
  readonly file: string
}

/** An image that `xl save` wrote of a guest. */
export interface SaveSource {
  readonly kind: 'save'
  readonly file: string
}

/** Where a Xen guest is. */
export type XenSource = CoreSource | SaveSource

export interface OpenXenOptions {
  /** Folder for what must outlive this process. A file needs nothing there. */
  readonly stateDir: string
  /** Folder that relative paths in the source are relative to. */
  readonly baseDir: string
  readonly signal?: AbortSignal | undefined
}
