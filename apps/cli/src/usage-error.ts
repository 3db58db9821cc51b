/** The call itself is wrong: ends with exit status 2 and the message, no stack trace. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Not an error: the user asked how a command is called. The message is the usage line. */
export class HelpRequest extends Error {
  override readonly name = 'HelpRequest'
}
