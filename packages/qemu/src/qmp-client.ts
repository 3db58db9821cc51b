import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { peerPid, sendFd } from '@ullage/native'
import { busyText, connectUnix } from './connect-unix.ts'
import type { JsonObject } from './json-fields.ts'
import { toText } from './json-fields.ts'
import { LineSplitter } from './line-splitter.ts'
import { QemuError } from './qemu-error.ts'
import { decodeGreeting, decodeMessage, notMonitor, type QemuVersion, type QmpEvent } from './qmp-message.ts'
import { socketDescriptor } from './socket-descriptor.ts'

/** `info mtree -f` of a guest with thousands of devices stays far below this. */
const MAX_LINE_BYTES = 32 * 1024 * 1024
const GREETING_TIMEOUT_MS = 2000
const COMMAND_TIMEOUT_MS = 30_000

export interface ConnectOptions {
  /** How long an open connection may stay silent before the monitor counts as busy. Default 2000. */
  readonly greetingTimeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

export interface CommandOptions {
  /** Default 30 s. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

interface Pending {
  readonly command: string
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/**
 * One client of one QMP monitor: JSON lines over a unix socket. Every command either gets QEMU's answer or fails with a
 * QemuError; when QEMU goes away all that wait fail with GONE, and so does all that comes after. Ref: QEMU qmp-spec.
 */
export class QmpClient {
  readonly socketPath: string
  readonly #socket: Socket
  readonly #pending = new Map<number, Pending>()
  readonly #listeners = new Set<(event: QmpEvent) => void>()
  readonly #lines = new LineSplitter(MAX_LINE_BYTES)
  #version: QemuVersion | undefined
  #greeted: { resolve: () => void; reject: (error: Error) => void } | undefined
  #ended: QemuError | undefined
  #nextId = 1

  private constructor(socketPath: string, socket: Socket) {
    this.socketPath = socketPath
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', (cause) => this.#end(this.#gone('the connection to qemu broke', cause)))
    socket.on('close', () => this.#end(this.#gone('qemu closed the monitor (it has probably ended)')))
  }

  /**
   * Connects, waits for the greeting and leaves negotiation mode. Throws NOT_LISTENING, ACCESS_DENIED, NOT_A_MONITOR,
   * MONITOR_BUSY when no greeting comes in time, or the signal's reason.
   */
  static async connect(socketPath: string, options: ConnectOptions = {}): Promise<QmpClient> {
    const { signal } = options
    const client = new QmpClient(socketPath, await connectUnix(socketPath, { signal }))
    try {
      await client.#awaitGreeting(options.greetingTimeoutMs ?? GREETING_TIMEOUT_MS, signal)
      await client.execute('qmp_capabilities', {}, { signal })
      return client
    } catch (error) {
      client.close()
      throw error
    }
  }

  /** Version of QEMU, from its greeting. */
  get version(): QemuVersion {
    if (!this.#version) throw new QemuError('GONE', `no greeting has come from ${this.socketPath}`)
    return this.#version
  }

  /** Why the connection has ended, or undefined while it is open. */
  get ended(): QemuError | undefined {
    return this.#ended
  }

  /** Runs `command` and returns what QEMU returns. Throws COMMAND_FAILED, GONE, TIMEOUT or the signal's reason. */
  execute(command: string, args: JsonObject = {}, options: CommandOptions = {}): Promise<unknown> {
    return this.#run(command, args, options, (bytes) => void this.#socket.write(bytes))
  }

  /** Runs a command of the human monitor and returns what it prints. */
  async humanMonitor(commandLine: string, options: CommandOptions = {}): Promise<string> {
    const answer = await this.execute('human-monitor-command', { 'command-line': commandLine }, options)
    return toText(answer, `the output of ${commandLine}`)
  }

  /** Hands QEMU a copy of descriptor `fd` under `name` (getfd); the caller keeps `fd`. */
  async passFd(name: string, fd: number, options: CommandOptions = {}): Promise<void> {
    // The descriptor travels outside the stream's own queue, which must not hold back anything that comes before it.
    while (this.#socket.writableLength > 0 && !this.#ended) await setImmediate()
    await this.#run('getfd', { fdname: name }, options, (bytes) => sendFd(socketDescriptor(this.#socket), fd, bytes))
  }

  /** Process id of QEMU as the socket tells it: of the process that called listen(2). Zero when it cannot be seen. */
  peerPid(): number {
    return peerPid(socketDescriptor(this.#socket))
  }

  /** Calls `listener` at each event, until the returned function is called. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Leaves the monitor. What still waits for an answer fails with GONE. Idempotent. */
  close(): void {
    this.#end(new QemuError('GONE', `the connection to ${this.socketPath} was closed on this side`))
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #run(
    command: string,
    args: JsonObject,
    options: CommandOptions,
    send: (bytes: Uint8Array) => void,
  ): Promise<unknown> {
    const { signal, timeoutMs = COMMAND_TIMEOUT_MS } = options
    signal?.throwIfAborted()
    if (this.#ended) return Promise.reject(this.#ended)
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        this.#pending.delete(id)
      }
      const fail = (error: unknown): void => {
        settle()
        reject(error)
      }
      const onAbort = (): void => fail(signal?.reason)
      const timer = setTimeout(() => {
        const text = `expected an answer to ${command} from ${this.socketPath} within ${timeoutMs} ms, found none`
        fail(new QemuError('TIMEOUT', text))
      }, timeoutMs)
      signal?.addEventListener('abort', onAbort, { once: true })
      const succeed = (value: unknown): void => {
        settle()
        resolve(value)
      }
      this.#pending.set(id, { command, resolve: succeed, reject: fail })
      try {
        send(Buffer.from(`${JSON.stringify({ execute: command, arguments: args, id })}\n`))
      } catch (error) {
        fail(error instanceof QemuError ? error : this.#gone(`${command} could not be sent`, error))
      }
    })
  }

  #awaitGreeting(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => fail(new QemuError('MONITOR_BUSY', busyText(this.socketPath))), timeoutMs)
      const settle = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        this.#greeted = undefined
      }
      const fail = (error: unknown): void => {
        settle()
        reject(error)
      }
      const onAbort = (): void => fail(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      const succeed = (): void => {
        settle()
        resolve()
      }
      this.#greeted = { resolve: succeed, reject: fail }
      if (signal?.aborted) onAbort()
      else if (this.#ended) fail(this.#ended)
    })
  }

  #receive(chunk: Buffer): void {
    if (this.#ended) return
    try {
      for (const line of this.#lines.push(chunk)) this.#takeLine(line)
    } catch (error) {
      if (error instanceof QemuError) this.#end(error)
      else if (this.#version) this.#end(this.#gone('qemu sent what cannot be read', error))
      else this.#end(notMonitor(this.socketPath, this.#lines.unfinished))
    }
  }

  #takeLine(line: string): void {
    if (line === '') return
    if (!this.#version) {
      this.#version = decodeGreeting(line, this.socketPath)
      this.#greeted?.resolve()
      return
    }
    const message = decodeMessage(line)
    if (message.kind === 'event') {
      for (const listener of this.#listeners) listener(message.event)
    } else if (message.kind === 'return') {
      // An answer that nobody waits for belongs to a command that timed out or was aborted.
      this.#pending.get(message.id)?.resolve(message.value)
    } else {
      const pending = message.id === undefined ? undefined : this.#pending.get(message.id)
      const { qmpClass, text } = message
      pending?.reject(new QemuError('COMMAND_FAILED', `qemu refused ${pending.command}: ${text}`, { qmpClass }))
    }
  }

  #gone(what: string, cause?: unknown): QemuError {
    if (!this.#version) return notMonitor(this.socketPath, this.#lines.unfinished)
    const running = [...this.#pending.values()].map(({ command }) => command).join(', ')
    const during = running === '' ? '' : ` during ${running}`
    return new QemuError('GONE', `${what}${during}, at ${this.socketPath}; see qemu's own log`, { cause })
  }

  /** The one end of a connection, whichever side ends it: the first reason stays. */
  #end(error: QemuError): void {
    if (this.#ended) return
    this.#ended = error
    this.#socket.destroy()
    this.#greeted?.reject(error)
    for (const pending of this.#pending.values()) pending.reject(error)
  }
}
