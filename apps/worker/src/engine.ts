import type { WriteFollower } from '@ullage/artifact-store'
import type { DumpOptions, DumpProgress } from '@ullage/dump-job'

/** What a child looks at of a descriptor itself. */
export interface Owned {
  readonly tenant?: string | null | undefined
}

/** What a child needs of the engine: packages/guests and packages/dump, or a double of them in tests. */
export interface Engine<Descriptor extends Owned, Guest extends AsyncDisposable> {
  loadDescriptor(path: string): Promise<Descriptor>
  openGuest(descriptor: Descriptor, options: EngineOpenOptions): Promise<Guest>
  dumpGuest(guest: Guest, options: EngineDumpOptions): Promise<unknown>
  pagesOf(guest: Guest, options: { pause: boolean; signal?: AbortSignal }): Promise<unknown>
}

export interface EngineDumpOptions extends DumpOptions {
  /** Path of the artifact, which is not there yet. */
  readonly output: string
  readonly reportPath: string
  /** Compression threads. */
  readonly jobs: number
  /** What pages of a paused guest may take in memory, in bytes; the engine's own limit when left out. */
  readonly memoryBytes?: number
  readonly dryRun: boolean
  /** Asked once whether there is room for what the artifact takes, in bytes, while nobody stands still. */
  readonly admit?: (need: { readonly atLeastBytes: number; readonly atMostBytes: number }) => Promise<void>
  /** Told of the artifact while it is written. */
  readonly follower?: WriteFollower
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: DumpProgress) => void
}

export interface EngineOpenOptions {
  readonly stateDir: string
  readonly guardianScope: 'session' | 'systemd'
  /** The guest is going to be paused, where it is a live one. */
  readonly pauses: boolean
  readonly signal?: AbortSignal
}
