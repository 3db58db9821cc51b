import { gunzipSync } from 'node:zlib'
import { LabError } from './lab-error.ts'

/** Longest script in bytes: the guest's terminal takes a line of 4095 bytes, in base64. */
const MAX_SCRIPT_BYTES = 2900

interface Request {
  readonly resolve: (parts: Map<string, Buffer>) => void
  readonly reject: (reason: Error) => void
}

/** What a script printed, and how it ended. */
export interface ScriptResult {
  readonly output: string
  readonly status: number
}

/**
 * The lab's side of the talk with an init of ours (see agent-shell.ts), over whatever carries lines: `send` carries one to
 * the guest, and what comes from the guest is given to `take`.
 */
export class AgentConversation {
  readonly #send: (line: string) => void
  readonly #requests = new Map<number, Request>()
  readonly #ready = Promise.withResolvers<void>()
  #lastId = 0
  #closed: Error | undefined

  constructor(send: (line: string) => void) {
    this.#send = send
    this.#ready.promise.catch(() => undefined)
  }

  /** Resolves when the guest says that it is ready. */
  get ready(): Promise<void> {
    return this.#ready.promise
  }

  /** The named parts of the guest's answer to `truth`. */
  truth(): Promise<Map<string, Buffer>> {
    return this.#request('truth')
  }

  /** Runs shell lines and returns what they printed; throws when they fail. */
  async exec(script: string): Promise<string> {
    const { output, status } = await this.tryExec(script)
    if (status !== 0) throw new LabError(`script in the guest ended with status ${status}:\n${output.trim()}`)
    return output
  }

  /** Runs shell lines, however they end. */
  async tryExec(script: string): Promise<ScriptResult> {
    const bytes = Buffer.from(script)
    if (bytes.length > MAX_SCRIPT_BYTES) {
      throw new LabError(`script for the guest has ${bytes.length} bytes: at most ${MAX_SCRIPT_BYTES} go in one call`)
    }
    const parts = await this.#request(`exec ${bytes.toString('base64')}`)
    return { output: parts.get('output')?.toString() ?? '', status: Number(parts.get('status')?.toString().trim()) }
  }

  /** Nobody answers any more: whoever waits, and whoever asks, is told why. */
  close(why: string): void {
    this.#closed ??= new LabError(`no answer from the guest: ${why}`)
    this.#ready.reject(this.#closed)
    for (const request of this.#requests.values()) request.reject(this.#closed)
    this.#requests.clear()
  }

  #request(command: string): Promise<Map<string, Buffer>> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { resolve, reject })
      this.#send(`${id} ${command}\n`)
    })
  }

  #buffered: string[] = []

  /** Text as it comes from the guest, cut anywhere. */
  take(text: string): void {
    this.#buffered.push(text)
    if (!text.includes('\n')) return
    const lines = this.#buffered.join('').split('\n')
    this.#buffered = [lines.pop() ?? '']
    for (const line of lines) this.#takeLine(line.replace(/\r$/, ''))
  }

  #name: string | undefined
  #body: string[] = []
  #parts = new Map<string, Buffer>()
  #broken: LabError | undefined

  #takePart(name: string, base64: string): void {
    try {
      this.#parts.set(name, gunzipSync(Buffer.from(base64, 'base64')))
    } catch (cause) {
      this.#broken = new LabError(`part ${name} of the guest's answer is broken: ${base64.slice(0, 200)}`, { cause })
    }
  }

  #takeLine(line: string): void {
    if (line === '==READY') {
      this.#ready.resolve()
    } else if (line.startsWith('==BEGIN ')) {
      this.#name = line.slice('==BEGIN '.length)
      this.#body = []
    } else if (line === '==END' && this.#name !== undefined) {
      this.#takePart(this.#name, this.#body.join(''))
      this.#name = undefined
    } else if (line.startsWith('==DONE ')) {
      const id = Number(line.slice('==DONE '.length))
      const [parts, broken, request] = [this.#parts, this.#broken, this.#requests.get(id)]
      this.#parts = new Map()
      this.#broken = undefined
      this.#requests.delete(id)
      if (broken === undefined) request?.resolve(parts)
      else request?.reject(broken)
    } else if (this.#name !== undefined) {
      this.#body.push(line)
    }
  }
}
