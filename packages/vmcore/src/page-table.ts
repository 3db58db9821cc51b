/** Most pages that are checked at once: what one thread is given to do. */
export const MAX_TABLE_PAGES = 4096
/** The same in bytes of content, for guests with larger pages. */
const MAX_TABLE_BYTES = 1 << 24

/** Where pages stand in a file, in any order: page i has `sizes[i]` bytes at `positions[i]`, with `flags[i]`. */
export interface PageTable {
  /** At most MAX_TABLE_PAGES. */
  readonly count: number
  readonly positions: Float64Array
  readonly sizes: Uint32Array
  readonly flags: Uint32Array
}

/** How many pages of `pageBytes` are listed and checked together. */
export function tablePages(pageBytes: number): number {
  return Math.min(MAX_TABLE_PAGES, Math.max(1, Math.floor(MAX_TABLE_BYTES / pageBytes)))
}
