/** Bytes do not fit a declared structure. Whoever knows which file they came from wraps it, as `cause`. */
export class LayoutError extends Error {
  override readonly name = 'LayoutError'
}
