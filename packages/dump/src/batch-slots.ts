/** What one worker reads and compresses together, in bytes of pages. */
const BATCH_BYTES = 1 << 20

/** Frames of one batch for each page that it can hold: zeros that are not read take no room but in the tables. */
const FRAMES_PER_PAGE = 4

/** Pages read and compressed together by one worker. */
export function batchPages(pageBytes: number): number {
  return Math.max(1, Math.floor(BATCH_BYTES / pageBytes))
}

/** Frames of one batch, those included that are zeros without being read. */
export function batchFrames(pageBytes: number): number {
  return batchPages(pageBytes) * FRAMES_PER_PAGE
}

/** How batches lie one after another in memory that the dumping thread shares with its compressing threads. */
export interface SlotLayout {
  readonly frames: number
  readonly outputBytes: number
  /** Of one batch. */
  readonly slotBytes: number
}

const TABLES = 4

/** `maxCompressedBytes`: the most that a codec may need for one page. */
export function slotLayout(pageBytes: number, maxCompressedBytes: number): SlotLayout {
  const frames = batchFrames(pageBytes)
  // A codec may need more room than the page it fails to shrink.
  const outputBytes = (batchPages(pageBytes) - 1) * pageBytes + Math.max(pageBytes, maxCompressedBytes)
  const slotBytes = Math.ceil((TABLES * frames * 4 + outputBytes) / 64) * 64
  return { frames, outputBytes, slotBytes }
}

/** One batch. All of it is used again for the next. */
export interface BatchSlot {
  /** In: 1 for a frame that is zeros without being read, else 0. */
  readonly skipped: Uint32Array
  /** Out: payload bytes of each frame; 0 for a page of zeros. */
  readonly sizes: Uint32Array
  /** Out: flags of each frame's page. */
  readonly flags: Uint32Array
  /** Out: a number made of the content of each frame's page. */
  readonly prints: Uint32Array
  /** Out: payloads, one after the other. */
  readonly output: Uint8Array
}

/** Views of batch `index`. */
export function batchSlot(slots: SharedArrayBuffer, layout: SlotLayout, index: number): BatchSlot {
  const { frames, outputBytes, slotBytes } = layout
  const start = index * slotBytes
  const table = (number: number): Uint32Array => new Uint32Array(slots, start + number * frames * 4, frames)
  return {
    skipped: table(0),
    sizes: table(1),
    flags: table(2),
    prints: table(3),
    output: new Uint8Array(slots, start + TABLES * frames * 4, outputBytes),
  }
}
