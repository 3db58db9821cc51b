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

/** A live domain of this host, whose control domain this is. */
export interface DomainSource {
  readonly kind: 'domain'
  /** Its name, or its number. */
  readonly domain: string | number
  /**
   * What may change the domain: `populateOnDemand` lets frames be read that get memory by being read (without it, a domain
   * that has such frames is refused).
   */
  readonly allow?: readonly 'populateOnDemand'[] | undefined
}

/** Where a Xen guest is. */
export type XenSource = CoreSource | SaveSource | DomainSource

export interface OpenXenOptions {
  /** Folder for what must outlive this process: locks, records of paused domains. A file needs nothing there. */
  readonly stateDir: string
  /** Folder that relative paths in the source are relative to. */
  readonly baseDir: string
  readonly signal?: AbortSignal | undefined
  /** How the process that guards a paused domain is started: `systemd` where this process is a service of systemd's. */
  readonly guardianScope?: 'session' | 'systemd' | undefined
}
