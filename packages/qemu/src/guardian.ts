import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { PauseRecord } from './pause-record.ts'
import { QemuError } from './qemu-error.ts'

const ARM_TIMEOUT_MS = 20_000
const DISARM_TIMEOUT_MS = 5000
const MAX_STDERR_CHARS = 4000

/** `session`: a session of its own. `systemd`: also a scope of its own, which outlives the service's cgroup. */
export type GuardianScope = 'session' | 'systemd'

export interface GuardianOptions {
  /** Where the record will be: the guardian removes it when the guest needs nobody any more. */
  readonly recordPath: string
  readonly scope?: GuardianScope | undefined
  /** A command that starts the guardian, whose own command line follows: instead of what `scope` stands for. */
  readonly launcher?: readonly string[] | undefined
  /** The guest's locked file: inherited, so that nobody else gets the guest before it runs again. */
  readonly lockFd?: number | undefined
}

const LAUNCHERS: Record<GuardianScope, readonly string[]> = {
  session: [],
  systemd: ['systemd-run', '--scope', '--collect', '--quiet', '--slice=system.slice'],
}

/** The guardian of one guest, seen from the process that pauses it. */
export class Guardian {
  readonly #child: ChildProcess
  readonly #input: Writable
  readonly #output: Readable
  readonly #errors: Readable
  /** Resolves when the guardian has ended, or could not be started, with what there is to say of it. */
  readonly #end: Promise<string>
  /** Resolves when the guardian has ended. */
  readonly ended: Promise<void>
  #state: 'started' | 'armed' | 'left' = 'started'
  #said = ''

  private constructor(child: ChildProcess) {
    const { stdin, stdout, stderr } = child
    if (!stdin || !stdout || !stderr) throw new QemuError('GUARDIAN_FAILED', 'the guardian has no standard streams')
    this.#child = child
    this.#input = stdin
    this.#output = stdout
    this.#errors = stderr
    this.ended = new Promise((resolve) => child.once('exit', () => resolve()))
    this.#end = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('close', (code, signal) => resolve(`its end (${signal ?? `status ${code}`})`))
    })
    // A dead guardian is noticed by its end; what is written to it meanwhile is lost.
    stdin.on('error', () => undefined)
    stderr.on('data', (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString('utf8')).slice(-MAX_STDERR_CHARS)
    })
    this.#keepAlive(false)
  }

  /** Starts a guardian that guards nothing yet. Returns at once: it takes a while until it can be armed. */
  static start(options: GuardianOptions): Guardian {
    const [command = process.execPath, ...rest] = commandLine(options)
    const child = spawn(command, rest, {
      detached: true,
      cwd: '/',
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
      stdio: ['pipe', 'pipe', 'pipe', ...(options.lockFd === undefined ? [] : [options.lockFd])],
    })
    return new Guardian(child)
  }

  /** Has it guard the guest of `record`; returns once it has said that it does. Throws GUARDIAN_FAILED; it has ended then. */
  async arm(record: PauseRecord): Promise<void> {
    this.#keepAlive(true)
    try {
      const armed = once(this.#output, 'data', { signal: AbortSignal.timeout(ARM_TIMEOUT_MS) }).then(
        () => undefined,
        () => `no word from it in ${ARM_TIMEOUT_MS} ms`,
      )
      void this.#write(`${JSON.stringify(record)}\n`)
      const found = await Promise.race([armed, this.#end])
      if (found !== undefined) {
        this.#child.kill('SIGKILL')
        const tail = this.#said.trim().split('\n').slice(-3).join(' ')
        throw new QemuError('GUARDIAN_FAILED', `expected the guardian to arm, found ${found}${tail && `: ${tail}`}`)
      }
      this.#state = 'armed'
    } finally {
      this.#keepAlive(false)
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Tells the guardian how the guest stands, before it does; returns when the word has left this process. */
  tell(word: 'stopping' | 'running'): Promise<void> {
    return this.#write(`${word}\n`)
  }

  /** Tells the guardian, as the end of this process would, that the guest is its business now. */
  handOver(): void {
    this.#state = 'left'
    this.#input.end()
  }

  /** Ends the guardian without its doing anything; returns when it has ended. Idempotent. */
  async disarm(): Promise<void> {
    const { pid } = this.#child
    if (this.#state === 'left' || pid === undefined) return
    // One that guards nothing yet need not be asked.
    if (this.#state === 'started') this.#child.kill('SIGKILL')
    this.#state = 'left'
    await this.#write('disarm\n')
    this.#input.end()
    const patience = new AbortController()
    const late = delay(DISARM_TIMEOUT_MS, 'late', { signal: patience.signal }).catch(() => 'late')
    if ((await Promise.race([this.ended, late])) === 'late') this.#child.kill('SIGKILL')
    patience.abort()
    await this.ended
  }

  #write(text: string): Promise<void> {
    return new Promise((resolve) => this.#input.write(text, () => resolve()))
  }

  /** A guardian must not keep this process alive: when this one ends, that is its sign. */
  #keepAlive(keep: boolean): void {
    for (const handle of [this.#child, this.#input, this.#output, this.#errors]) {
      const method = keep ? 'ref' : 'unref'
      if (!(method in handle)) continue
      const change: unknown = Reflect.get(handle, method)
      if (typeof change === 'function') change.call(handle)
    }
  }
}

/** Sources are run as they are, packed packages as JavaScript: this file's own name tells which. */
function commandLine({ recordPath, scope = 'session', launcher }: GuardianOptions): string[] {
  const isSource = import.meta.url.endsWith('.ts')
  const main = fileURLToPath(new URL(isSource ? './guardian-main.ts' : './guardian-main.js', import.meta.url))
  const conditions = isSource ? ['--conditions=@ullage/source'] : []
  return [...(launcher ?? LAUNCHERS[scope]), process.execPath, ...conditions, main, recordPath]
}
