/** What an artifact is going to take, as far as that is known before it is written, in bytes. */
export interface SpaceNeed {
  readonly atLeastBytes: number
  /** A guest that runs may come to need more until it is stopped. */
  readonly atMostBytes: number
}
