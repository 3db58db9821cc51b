import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('mapper.py', import.meta.url))

/** A process of its own that maps memory as it is told. */
export class Mapper implements AsyncDisposable {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>
  readonly #lines: Interface

  constructor() {
    this.#child = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] })
    if (this.#child.pid === undefined || !this.#child.stdout) throw new Error('python3 did not start')
    this.pid = this.#child.pid
    this.#lines = createInterface({ input: this.#child.stdout })
    this.#answers = this.#lines[Symbol.asyncIterator]()
  }

  async #ask(...command: unknown[]): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`)
    const { value, done } = await this.#answers.next()
    if (done) throw new Error(`the mapping process ended on ${command}`)
    const answer: { result?: unknown; error?: string } = JSON.parse(value)
    if (answer.error !== undefined) throw new Error(`${command.join(' ')}: ${answer.error}`)
    return answer.result
  }

  async open(path: string): Promise<number> {
    return Number(await this.#ask('open', path))
  }

  async memfd(name: string, options: { huge?: boolean } = {}): Promise<number> {
    return Number(await this.#ask('memfd', name, options.huge ? 4 : 0))
  }

  async truncate(fd: number, sizeBytes: number): Promise<void> {
    await this.#ask('truncate', fd, sizeBytes)
  }

  async close(fd: number): Promise<void> {
    await this.#ask('close', fd)
  }

  /** Address of the mapping. `fd` -1 for anonymous memory. */
  async map(options: { fd?: number; sizeBytes: number; offsetBytes?: number; shared: boolean }): Promise<number> {
    const { fd = -1, sizeBytes, offsetBytes = 0, shared } = options
    return Number(await this.#ask('map', fd, sizeBytes, offsetBytes, shared))
  }

  async unmap(address: number, sizeBytes: number): Promise<void> {
    await this.#ask('unmap', address, sizeBytes)
  }

  /** Makes a part read-only, at which the kernel splits the area. */
  async protect(address: number, sizeBytes: number): Promise<void> {
    await this.#ask('protect', address, sizeBytes)
  }

  async advise(address: number, sizeBytes: number, advice: number): Promise<void> {
    await this.#ask('advise', address, sizeBytes, advice)
  }

  async write(address: number, byte: number, sizeBytes: number): Promise<void> {
    await this.#ask('write', address, byte, sizeBytes)
  }

  /** Reads as a program does, by touching the memory. */
  async touch(address: number, sizeBytes: number): Promise<Buffer> {
    return Buffer.from(String(await this.#ask('read', address, sizeBytes)), 'hex')
  }

  /** What it has resident, as a walk of its page tables counts it: `Rss`, `Anonymous`, `Swap`, … in KiB. */
  memoryKib(field: string): number {
    return this.#kib('smaps_rollup', field)
  }

  /** Its page tables in KiB. */
  pageTablesKib(): number {
    return this.#kib('status', 'VmPTE')
  }

  #kib(file: string, field: string): number {
    const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${this.pid}/${file}`, 'utf8'))
    if (!match) throw new Error(`no ${field} in /proc/${this.pid}/${file}`)
    return Number(match[1])
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    this.#lines.close()
  }
}
