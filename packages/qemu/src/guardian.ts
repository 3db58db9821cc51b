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
  readonly record: PauseRecord
  /** Where the record is, or will be: the guardian removes it when the guest needs nobody any more. */
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

/** The running guardian of one paused guest, seen from the process that pauses it. */
export class Guardian {
  readonly #child: ChildProcess
  readonly #input: Writable
  /** Resolves when the guardian has ended. */
  readonly ended: Promise<void>
  #disarmed = false

  private constructor(child: ChildProcess, input: Writable) {
    this.#child = child
    this.#input = input
    this.ended = new Promise((resolve) => child.once('exit', () => resolve()))
    // A dead guardian is noticed by `ended`; what is written to it meanwhile is lost.
    input.on('error', () => undefined)
  }

  /** Starts a guardian and returns once it has said that it is armed. Throws GUARDIAN_FAILED. */
  static async arm(options: GuardianOptions): Promise<Guardian> {
    const [command = process.execPath, ...rest] = commandLine(options)
    const child = spawn(command, rest, {
      detached: true,
      cwd: '/',
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
      stdio: ['pipe', 'pipe', 'pipe', ...(options.lockFd === undefined ? [] : [options.lockFd])],
    })
    const { stdin, stdout, stderr } = child
    if (!stdin || !stdout || !stderr) throw new QemuError('GUARDIAN_FAILED', 'the guardian has no standard streams')
    try {
      await untilArmed(child, stdout, stderr)
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
    // The guardian must not keep this process alive: when this one ends, that is its sign.
    child.unref()
    for (const stream of [stdin, stdout, stderr])
      if ('unref' in stream && typeof stream.unref === 'function') stream.unref()
    return new Guardian(child, stdin)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** True while the guardian lives and has not been disarmed. */
  get isArmed(): boolean {
    return !this.#disarmed && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Tells the guardian how the guest stands, before it does; returns when the word has left this process. */
  tell(word: 'stopping' | 'running'): Promise<void> {
    return this.#write(`${word}\n`)
  }

  /** Tells the guardian, as the end of this process would, that the guest is its business now. */
  handOver(): void {
    this.#disarmed = true
    this.#input.end()
  }

  /** Ends the guardian without its doing anything. Idempotent. */
  async disarm(): Promise<void> {
    if (this.#disarmed) return
    this.#disarmed = true
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
}

/** Sources are run as they are, packed packages as JavaScript: this file's own name tells which. */
function commandLine({ record, recordPath, scope = 'session', launcher }: GuardianOptions): string[] {
  const isSource = import.meta.url.endsWith('.ts')
  const main = fileURLToPath(new URL(isSource ? './guardian-main.ts' : './guardian-main.js', import.meta.url))
  const conditions = isSource ? ['--conditions=@ullage/source'] : []
  return [...(launcher ?? LAUNCHERS[scope]), process.execPath, ...conditions, main, recordPath, JSON.stringify(record)]
}

async function untilArmed(child: ChildProcess, stdout: Readable, stderr: Readable): Promise<void> {
  let said = ''
  stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-MAX_STDERR_CHARS)
  })
  const patience = AbortSignal.timeout(ARM_TIMEOUT_MS)
  const failed = (found: string): QemuError => {
    const tail = said.trim().split('\n').slice(-3).join(' ')
    return new QemuError('GUARDIAN_FAILED', `expected the guardian to arm, found ${found}${tail && `: ${tail}`}`)
  }
  const armed = once(stdout, 'data', { signal: patience }).then(
    () => undefined,
    () => failed(`no word from it in ${ARM_TIMEOUT_MS} ms`),
  )
  const ended = new Promise<QemuError>((resolve) => {
    child.once('error', (error) => resolve(failed(error.message)))
    child.once('close', (code, signal) => resolve(failed(`its end (${signal ?? `status ${code}`})`)))
  })
  const failure = await Promise.race([armed, ended])
  if (failure) throw failure
}
