import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

/** The API as a process, in a folder of its own. Its Redis is away. */
export class ApiProcess implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'ullage-api-process-'))
  #child: ChildProcess | undefined
  #closed: Promise<unknown> | undefined
  #said = ''

  /** Starts it; resolves with its address, or throws what it said when it ended instead. */
  async start(env: Record<string, string>): Promise<string> {
    const child = spawn(process.execPath, ['--conditions=@ullage/source', MAIN], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        ULLAGE_REDIS_URL: `unix://${this.folder}/none.sock`,
        ULLAGE_ARTIFACTS_DIR: join(this.folder, 'artifacts'),
        ULLAGE_STATE_DIR: join(this.folder, 'state'),
        ULLAGE_API_LISTEN: '127.0.0.1:0',
        ULLAGE_LOG_LEVEL: 'trace',
        ...env,
      },
    })
    this.#child = child
    // Not 'exit': what it said last may come after that.
    this.#closed = once(child, 'close')
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text
      })
    }
    await this.says(/"msg":"api ready"/)
    return /"url":"([^"]+)"/.exec(this.#said)?.[1] ?? ''
  }

  /** All that it has said. */
  get said(): string {
    return this.#said
  }

  /** Waits until it has said this; throws what it said when it ends before. */
  async says(what: RegExp): Promise<void> {
    const deadline = performance.now() + 30_000
    while (!what.test(this.#said)) {
      const over = this.#child?.exitCode ?? this.#child?.signalCode
      if (over !== null && over !== undefined) throw new Error(`the API ended with ${over}: ${this.#said}`)
      if (performance.now() > deadline) throw new Error(`waited for ${what}, heard ${this.#said}`)
      await delay(10)
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Resolves with the status or the signal that it has ended with. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    const child = this.#child
    await this.#closed
    return child?.exitCode ?? child?.signalCode ?? null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
    rmSync(this.folder, { recursive: true })
  }
}
