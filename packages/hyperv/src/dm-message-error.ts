/**
 * Why bytes are no message of the Dynamic Memory protocol.
 *
 * - `SHORT`: fewer bytes than its header says, or than its type needs.
 * - `RANGES`: it counts more ranges of frames than it has room for.
 * - `TYPE`: no type of versions 0.3 to 2.0.
 * - `DIRECTION`: a message of the guest's that the host sent, or the other way round.
 */
export type DmMessageErrorCode = 'SHORT' | 'RANGES' | 'TYPE' | 'DIRECTION'

export class DmMessageError extends Error {
  override readonly name = 'DmMessageError'
  readonly code: DmMessageErrorCode
  /** The type that the header says, undefined when there is no header. */
  readonly type: number | undefined

  constructor(code: DmMessageErrorCode, message: string, type?: number) {
    super(message)
    this.code = code
    this.type = type
  }
}
