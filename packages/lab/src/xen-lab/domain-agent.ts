import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { AgentConversation } from '../agent-conversation.ts'
import { waitUntil } from '../wait-until.ts'

const PART_BYTES = 1 << 16

/**
 * The talk with a guest's init over its Xen console: lines go into the console's terminal in the first domain, and what
 * comes is followed in the log that xenconsoled writes.
 */
export class DomainAgent {
  readonly #log: string
  readonly #conversation: AgentConversation
  #failed: unknown
  #offset = 0

  constructor(log: string, send: (line: string) => Promise<unknown>) {
    this.#log = log
    this.#conversation = new AgentConversation((line) => {
      send(line.trim()).catch((error: unknown) => {
        this.#failed = error
      })
    })
  }

  ready(timeoutMs: number): Promise<void> {
    return this.#follow(this.#conversation.ready, 'the guest is not ready', timeoutMs)
  }

  exec(script: string, timeoutMs: number): Promise<string> {
    return this.#follow(this.#conversation.exec(script), 'a script in the guest has not ended', timeoutMs)
  }

  truth(timeoutMs: number): Promise<Map<string, Buffer>> {
    return this.#follow(this.#conversation.truth(), 'the guest has not told of itself', timeoutMs)
  }

  /** Reads the log on until the answer is there. */
  async #follow<T>(answer: Promise<T>, what: string, timeoutMs: number): Promise<T> {
    let isDone = false
    const done = (): void => {
      isDone = true
    }
    answer.then(done, done)
    await waitUntil(
      () => {
        this.#takeLog()
        if (this.#failed !== undefined) throw this.#failed
        return isDone
      },
      { what: () => what, timeoutMs },
    )
    return answer
  }

  #takeLog(): void {
    if (!existsSync(this.#log)) return
    const fd = openSync(this.#log, 'r')
    try {
      const part = Buffer.alloc(PART_BYTES)
      for (let got = PART_BYTES; got === PART_BYTES; ) {
        got = readSync(fd, part, 0, PART_BYTES, this.#offset)
        this.#offset += got
        if (got > 0) this.#conversation.take(part.toString('latin1', 0, got))
      }
    } finally {
      closeSync(fd)
    }
  }
}
