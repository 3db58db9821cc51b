/** Where a service under test keeps its artifacts, as somebody sees it who looks there himself. */
export interface ArtifactPlace extends AsyncDisposable {
  /** What was published before is forgotten. */
  begin(): void
  /** How many artifacts were there under the name of `dump` since then. */
  timesPublished(dump: string): Promise<number>
  /** The names of everything there that is not the whole artifact of a dump that `succeeded`. */
  unfinished(succeeded: (dump: string) => boolean): Promise<string[]>
}
