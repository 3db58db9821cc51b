/**
 * Why `ullage serve` could not start or go on.
 *
 * - `INVALID`: a folder or an address cannot be used as asked.
 * - `MISSING`: a program that it needs is not installed.
 * - `BUSY`: another one serves from the same folder.
 * - `ENDED`: one of its processes ended by itself.
 */
export type ServeErrorCode = 'INVALID' | 'MISSING' | 'BUSY' | 'ENDED'

/** Message: what was expected, what was found, where, what to do. Lower case, no full stop. */
export class ServeError extends Error {
  override readonly name = 'ServeError'
  readonly code: ServeErrorCode

  constructor(code: ServeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
