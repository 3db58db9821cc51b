/**
 * A guest descriptor that cannot be used. Message: what was expected, what was found, where, what to do. Lower case, no
 * full stop.
 */
export class DescriptorError extends Error {
  override readonly name = 'DescriptorError'
}
