/** One event of a stream of server-sent events (WHATWG HTML, 9.2.6). */
export interface ServerSentEvent {
  readonly event: string
  /** Id of the last event that had one. */
  readonly id: string
  readonly data: string
}

/** A stream without the end of a line for so many characters is none of events. */
const LONGEST_LINE = 4 << 20

/**
 * Reads server-sent events from text that comes in pieces. `onRetry` is told the milliseconds that the server asks a client
 * to wait before it connects again, `onComment` every line that is a comment: a sign of life.
 */
export class EventParser {
  #rest = ''
  #event = ''
  #id = ''
  #data: string[] = []
  readonly #onRetry: (milliseconds: number) => void

  readonly #onComment: (comment: string) => void

  constructor(onRetry: (milliseconds: number) => void = () => {}, onComment: (comment: string) => void = () => {}) {
    this.#onRetry = onRetry
    this.#onComment = onComment
  }

  /** The events that `text` completes. Throws when a line is longer than 4 Mi characters. */
  push(text: string): ServerSentEvent[] {
    const found: ServerSentEvent[] = []
    // A CR at the end may be half of a CRLF: it waits.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > LONGEST_LINE) {
      throw new Error(`expected lines of at most ${LONGEST_LINE} characters in a stream of events, found a longer one`)
    }
    for (const line of lines) {
      if (line !== '') this.#field(line)
      else if (this.#data.length > 0) found.push(this.#dispatch())
      else this.#event = ''
    }
    return found
  }

  #dispatch(): ServerSentEvent {
    const event = { event: this.#event || 'message', id: this.#id, data: this.#data.join('\n') }
    this.#event = ''
    this.#data = []
    return event
  }

  #field(line: string): void {
    const [, name = '', value = ''] = /^([^:]*)(?::\x20?(.*))?$/s.exec(line) ?? []
    if (line.startsWith(':')) this.#onComment(value)
    else if (name === 'event') this.#event = value
    else if (name === 'data') this.#data.push(value)
    else if (name === 'id' && !value.includes('\0')) this.#id = value
    else if (name === 'retry' && /^\d+$/.test(value)) this.#onRetry(Number(value))
  }
}
