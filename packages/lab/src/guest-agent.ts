import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { LabError } from './lab-error.ts'

/** Longest script in bytes: the guest's terminal takes a line of 4095 bytes, in base64. */
const MAX_SCRIPT_BYTES = 2900

interface Request {
  readonly resolve: (parts: Map<string, Buffer>) => void
  readonly reject: (reason: Error) => void
}

/**
 * The lab's end of the serial line on which the guest's init takes commands (see guest-init.ts). QEMU connects to a
 * socket of ours, so nothing has to be polled.
 */
export class GuestAgent {
  readonly #server: Server
  readonly #requests = new Map<number, Request>()
  readonly #ready = Promise.withResolvers<void>()
  #socket: Socket | undefined
  #buffered: string[] = []
  #lastId = 0
  #closed: Error | undefined

  private constructor(server: Server) {
    this.#server = server
    this.#ready.promise.catch(() => undefined)
    server.on('connection', (socket) => {
      this.#socket = socket
      server.close()
      socket.setEncoding('latin1')
      socket.on('data', (text: string) => this.#take(text))
      socket.on('error', () => this.close('the line broke'))
      socket.on('close', () => this.close('QEMU is gone'))
    })
  }

  static async listen(path: string): Promise<GuestAgent> {
    const server = createServer()
    const agent = new GuestAgent(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    server.unref()
    return agent
  }

  /** Resolves when the guest says that it is ready. */
  get ready(): Promise<void> {
    return this.#ready.promise
  }

  /** The named parts of the guest's answer to `truth`. */
  truth(): Promise<Map<string, Buffer>> {
    return this.#request('truth')
  }

  async exec(script: string): Promise<string> {
    const bytes = Buffer.from(script)
    if (bytes.length > MAX_SCRIPT_BYTES) {
      throw new LabError(`script for the guest has ${bytes.length} bytes: at most ${MAX_SCRIPT_BYTES} go in one call`)
    }
    const parts = await this.#request(`exec ${bytes.toString('base64')}`)
    const output = parts.get('output')?.toString() ?? ''
    const status = parts.get('status')?.toString().trim()
    if (status !== '0') throw new LabError(`script in the guest ended with status ${status}:\n${output.trim()}`)
    return output
  }

  close(why: string): void {
    this.#closed ??= new LabError(`no answer from the guest: ${why}`)
    this.#server.close()
    this.#socket?.destroy()
    this.#ready.reject(this.#closed)
    for (const request of this.#requests.values()) request.reject(this.#closed)
    this.#requests.clear()
  }

  #request(command: string): Promise<Map<string, Buffer>> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { resolve, reject })
      this.#socket?.write(`${id} ${command}\n`)
    })
  }

  #take(text: string): void {
    this.#buffered.push(text)
    if (!text.includes('\n')) return
    const lines = this.#buffered.join('').split('\n')
    this.#buffered = [lines.pop() ?? '']
    for (const line of lines) this.#takeLine(line.replace(/\r$/, ''))
  }

  #name: string | undefined
  #body: string[] = []
  #parts = new Map<string, Buffer>()

  #takeLine(line: string): void {
    if (line === '==READY') {
      this.#ready.resolve()
    } else if (line.startsWith('==BEGIN ')) {
      this.#name = line.slice('==BEGIN '.length)
      this.#body = []
    } else if (line === '==END' && this.#name !== undefined) {
      this.#parts.set(this.#name, gunzipSync(Buffer.from(this.#body.join(''), 'base64')))
      this.#name = undefined
    } else if (line.startsWith('==DONE ')) {
      const id = Number(line.slice('==DONE '.length))
      const parts = this.#parts
      this.#parts = new Map()
      this.#requests.get(id)?.resolve(parts)
      this.#requests.delete(id)
    } else if (this.#name !== undefined) {
      this.#body.push(line)
    }
  }
}
