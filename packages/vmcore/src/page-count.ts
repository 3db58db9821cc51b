/** Smallest and largest page that readers accept. Ref: libkdumpfile diskdump.c, MIN_PAGE_SIZE and MAX_PAGE_SIZE. */
export const MIN_PAGE_BYTES = 4096
export const MAX_PAGE_BYTES = 262_144

/** Throws RangeError unless `pageBytes` is a power of two that readers accept. */
export function checkPageBytes(pageBytes: number): void {
  if (pageBytes < MIN_PAGE_BYTES || pageBytes > MAX_PAGE_BYTES || Math.log2(pageBytes) % 1 !== 0) {
    throw new RangeError(
      `a page has a power of two of bytes from ${MIN_PAGE_BYTES} to ${MAX_PAGE_BYTES}, found ${pageBytes}`,
    )
  }
}

/** Holds a writer to its promise: exactly as many pages as there are stored frames, and nothing after the end. */
export class PageCount {
  readonly #expected: number
  #finished = false
  pages = 0
  zeroPages = 0

  /** Throws RangeError when the frames that `stored` yields are not as many as were announced. */
  constructor(announced: number, stored: number) {
    if (announced !== stored) throw new RangeError(`${announced} stored frames were announced, ${stored} were listed`)
    this.#expected = stored
  }

  add(pages: number, zeroPages: number): void {
    if (this.#finished) throw new RangeError('the vmcore is finished, no page can be added')
    if (this.pages + pages > this.#expected) {
      throw new RangeError(`${this.#expected} pages were announced, ${this.pages + pages} arrived`)
    }
    this.pages += pages
    this.zeroPages += zeroPages
  }

  finish(): void {
    if (this.#finished) throw new RangeError('the vmcore is finished already')
    if (this.pages !== this.#expected) {
      throw new RangeError(`${this.#expected} pages were announced, only ${this.pages} arrived`)
    }
    this.#finished = true
  }
}
