import type { Readable, Writable } from 'node:stream'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { LabError } from './lab-error.ts'

const Message = z.union([
  z.object({ QMP: z.unknown() }),
  z.object({ event: z.string() }),
  z.object({ error: z.object({ class: z.string(), desc: z.string() }) }),
  z.object({ return: z.unknown() }),
])

interface Waiting {
  readonly command: string
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: Error) => void
}

/** The lab's own QMP monitor, on QEMU's stdin and stdout. Commands are answered in order. */
export class Monitor {
  readonly #output: Writable
  readonly #waiting: Waiting[] = []
  #ended: Error | undefined

  constructor(input: Readable, output: Writable) {
    this.#output = output
    output.on('error', () => this.#end('its standard input is closed'))
    const lines = createInterface({ input, crlfDelay: Infinity })
    lines.on('line', (line) => this.#take(line))
    lines.on('close', () => this.#end('it is gone'))
  }

  command(command: string, commandArguments?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ command, resolve, reject })
      const message =
        commandArguments === undefined ? { execute: command } : { execute: command, arguments: commandArguments }
      this.#output.write(`${JSON.stringify(message)}\n`)
    })
  }

  #take(line: string): void {
    const message = Message.parse(JSON.parse(line))
    if ('QMP' in message || 'event' in message) return
    const waiting = this.#waiting.shift()
    if (waiting === undefined) return
    if ('error' in message) waiting.reject(new LabError(`QEMU refused ${waiting.command}: ${message.error.desc}`))
    else waiting.resolve(message.return)
  }

  #end(why: string): void {
    this.#ended ??= new LabError(`no answer from QEMU: ${why}`)
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#ended)
  }
}
