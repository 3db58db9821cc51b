import { type ChildProcess, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { OfflineError } from '@ullage/offline-query'
import type { PauseRecord } from './pause-record.ts'

const ANSWER_TIMEOUT_MS = 60_000
const MAX_STDERR_CHARS = 4000

/** `session`: a session of its own. `systemd`: also a scope of its own, which outlives the service's cgroup. */
export type GuardianScope = 'session' | 'systemd'

export interface GuardianOptions {
  readonly record: PauseRecord
  /** Where the guardian keeps the record. */
  readonly recordPath: string
  readonly scope?: GuardianScope | undefined
  /** The domain's locked file: inherited, so that nobody else gets the domain before it runs again. */
  readonly lockFd?: number | undefined
  /** Module that the guardian runs; the one for this host's Xen when left out. */
  readonly main?: URL | undefined
}

const LAUNCHERS: Record<GuardianScope, readonly string[]> = {
  session: [],
  systemd: ['systemd-run', '--scope', '--collect', '--quiet', '--slice=system.slice'],
}

/** What a guardian can be told. */
export type GuardianOrder = 'pause' | 'adopt' | 'unpause'

/** A running guardian, seen from the process that wants the domain to stand still. */
export class Guardian {
  readonly #child: ChildProcess
  readonly #input: Writable
  /** Resolves when the guardian has ended. */
  readonly ended: Promise<void>
  #lines: string[] = []
  #text = ''
  #stderr = ''
  #end: string | undefined
  #wake: (() => void) | undefined

  private constructor(child: ChildProcess) {
    const { stdin, stdout, stderr } = child
    if (!stdin || !stdout || !stderr) throw failed('no standard streams')
    this.#child = child
    this.#input = stdin
    // A dead guardian is noticed by `ended`; what is written to it meanwhile is lost.
    stdin.on('error', () => undefined)
    stdout.on('data', (chunk: Buffer) => {
      const parts = (this.#text + chunk.toString('utf8')).split('\n')
      this.#text = parts.pop() ?? ''
      this.#lines.push(...parts)
      this.#wake?.()
    })
    stderr.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-MAX_STDERR_CHARS)
    })
    this.ended = new Promise((resolve) => {
      const end = (why: string): void => {
        this.#end ??= why
        this.#wake?.()
        resolve()
      }
      child.once('error', (error) => end(error.message))
      child.once('close', (code, signal) => end(`its end (${signal ?? `status ${code}`})`))
    })
  }

  /** Starts a guardian and returns once it has said that it is armed. Throws OfflineError UNAVAILABLE. */
  static async arm(options: GuardianOptions): Promise<Guardian> {
    const [command = process.execPath, ...rest] = commandLine(options)
    // With our environment: it loads the same libraries.
    const guardian = new Guardian(
      spawn(command, rest, {
        detached: true,
        cwd: '/',
        stdio: ['pipe', 'pipe', 'pipe', ...(options.lockFd === undefined ? [] : [options.lockFd])],
      }),
    )
    try {
      await guardian.#answer('armed')
    } catch (error) {
      guardian.#child.kill('SIGKILL')
      throw error
    }
    return guardian
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Has the guardian do something. Throws OfflineError UNAVAILABLE with its reason, or when it has ended. */
  async order(order: GuardianOrder): Promise<void> {
    this.#input.write(`${order}\n`)
    await this.#answer(`${order}${order === 'adopt' ? 'ed' : 'd'}`)
  }

  /** Lets the guardian go: it takes back a pause that is still there. Returns when it has ended. Idempotent. */
  async release(): Promise<void> {
    this.#input.end()
    this.#keepAlive(true)
    await this.ended
  }

  async #answer(expected: string): Promise<void> {
    // While an answer is waited for, this process must live; otherwise its end is the guardian's sign.
    this.#keepAlive(true)
    try {
      const deadline = performance.now() + ANSWER_TIMEOUT_MS
      while (this.#lines.length === 0 && this.#end === undefined) {
        const left = deadline - performance.now()
        if (left <= 0) throw failed(`no word from it in ${ANSWER_TIMEOUT_MS} ms`)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left)
          this.#wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        this.#wake = undefined
      }
      const line = this.#lines.shift()
      if (line === expected) return
      throw failed(line ?? `${this.#end}${reasonIn(this.#stderr)}`)
    } finally {
      this.#keepAlive(false)
    }
  }

  #keepAlive(keep: boolean): void {
    for (const handle of [this.#child, this.#child.stdin, this.#child.stdout, this.#child.stderr]) {
      const method = keep ? 'ref' : 'unref'
      if (handle && method in handle) {
        const change: unknown = Reflect.get(handle, method)
        if (typeof change === 'function') change.call(handle)
      }
    }
  }
}

function failed(found: string): OfflineError {
  return new OfflineError('UNAVAILABLE', `expected the guardian of a paused domain to do its work, found ${found}`)
}

/** What of a program's last words says why it ended: the line of its error, or all of them. */
function reasonIn(stderr: string): string {
  const lines = stderr.trim().split('\n')
  const said = lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.slice(-3).join(' ')
  return said === '' ? '' : `: ${said}`
}

/** Sources are run as they are, packed packages as JavaScript: this file's own name tells which. */
function commandLine({ record, recordPath, scope = 'session', main }: GuardianOptions): string[] {
  const isSource = import.meta.url.endsWith('.ts')
  const module = fileURLToPath(main ?? new URL(isSource ? './guardian-main.ts' : './guardian-main.js', import.meta.url))
  const conditions = isSource ? ['--conditions=@ullage/source'] : []
  return [...LAUNCHERS[scope], process.execPath, ...conditions, module, recordPath, JSON.stringify(record)]
}
