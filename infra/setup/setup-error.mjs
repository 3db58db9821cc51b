/** Set-up cannot go on; the message says what was expected, what was found and what to do. */
export class SetupError extends Error {
  name = 'SetupError'
}
