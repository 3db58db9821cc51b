import type { PublishedReport } from '@ullage/dump-job'
import type { Delivered, Delivery } from './delivery.ts'

/** An artifact that is open for reading, decrypted where it is encrypted. */
export interface OpenArtifact {
  /** Size of the vmcore. */
  readonly sizeBytes: number
  /** Whether it is encrypted where it is kept. */
  readonly isSealed: boolean
  /**
   * The bytes [startByte, endByte) of the vmcore, as they are asked for. Rejects with StoreError; bytes that were handed out
   * before are right. May be used once at a time.
   */
  read(startByte: number, endByte: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

export interface StoredArtifact {
  readonly dump: string
  /** What it takes where it is kept, without its report. */
  readonly storedBytes: number
  readonly publishedMs: number
}

/** Finished artifacts, for whoever serves them. A dump's id is checked before a path or a key is made of it. */
export interface PublishedArtifacts extends AsyncDisposable {
  /**
   * Makes what they are kept in, where that is a folder and missing. Throws StoreError STORE_UNAVAILABLE when it does not answer
   * within `withinMs`, and Error when it can be none.
   */
  makePlace(withinMs: number): Promise<void>
  /** The report, or undefined when no such dump is published. It is there exactly when the artifact is. */
  report(dump: string, signal?: AbortSignal): Promise<PublishedReport | undefined>
  /** The artifact, or undefined when it is not there. The caller closes it. Throws StoreError. */
  open(dump: string): Promise<OpenArtifact | undefined>
  stat(dump: string): Promise<StoredArtifact | undefined>
  /** Removes artifact and report: from their name at once, then from where they are kept. Idempotent. */
  remove(dump: string): Promise<void>
  list(): AsyncIterable<StoredArtifact>
  /**
   * Removes pieces that belong to no published dump and have not changed for `olderThanMs`, at least an hour; attempts that are
   * made show sooner that they live. Returns how many.
   */
  removeOrphans(olderThanMs: number): Promise<number>
}

/** One attempt at a dump: nothing of it is an artifact until `publish` has returned. */
export interface Attempt {
  /** Path of a new file in a folder of the attempt's own: the engine writes there. */
  readonly output: string
  /** For `deliver`, in the process that wrote `output`. Holds secrets: not to be logged. */
  readonly delivery: Delivery
  /**
   * Makes what was delivered an artifact, with its report, in one step. Returns the report that stands there: another
   * attempt's, when one was faster. Throws StoreError; nothing is published then. After an abort, too, unless the order to
   * publish was on its way.
   */
  publish(report: PublishedReport, delivered: Delivered, signal?: AbortSignal): Promise<PublishedReport>
  /** Removes what is left of the attempt; nothing that is published. Idempotent. */
  remove(signal?: AbortSignal): Promise<void>
}

/** A place of artifacts, for whoever makes them. A signal ends waiting for what does not answer: its reason is thrown. */
export interface ArtifactStore extends PublishedArtifacts {
  /** Removes what attempts of this host left that died. Only while the host's lock is held. */
  prepare(): Promise<void>
  begin(dump: string, signal?: AbortSignal): Promise<Attempt>
}
