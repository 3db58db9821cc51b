import { type ChildProcess, fork, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { ServeError } from './serve-error.ts'

/** How much of a log is looked at for the reason why its process ended, in characters. */
const TAIL_CHARACTERS = 4_000

/** Exit status of API and worker when a setting is wrong; what they then say is for the user. */
const WRONG_SETTING = 2

export interface ServeProcessOptions {
  /** What it is called in messages. */
  readonly name: string
  /** File that its stdout and stderr are appended to. */
  readonly log: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** The lock of the data folder, which it inherits. */
  readonly lockFd: number
}

/** One of the processes of `ullage serve`, in a process group of its own so that a terminal's signals do not reach it. */
export class ServeProcess {
  readonly name: string
  readonly #child: ChildProcess
  readonly #log: string
  /** Resolves when it has ended, with what `ServeError` ENDED has to say of it. */
  readonly ended: Promise<ServeError>
  #stopping = false

  constructor(child: ChildProcess, { name, log }: ServeProcessOptions) {
    this.name = name
    this.#child = child
    this.#log = log
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(this.#failedToStart(error)))
      child.once('exit', (status, signal) => {
        resolve(status === WRONG_SETTING ? this.#refused() : this.#endedEarly(signal ?? `status ${status}`))
      })
    })
  }

  /** Runs a module of ours, with a channel whose end tells it that we are gone. */
  static fork(module: string, options: ServeProcessOptions): ServeProcess {
    return withLog(options, (output) => {
      const execArgv = module.endsWith('.ts') ? ['--conditions=@ullage/source'] : []
      const stdio = ['ignore', output, output, 'ipc', options.lockFd] as const
      return fork(new URL(module), [], { detached: true, execArgv, env: { ...options.env }, stdio: [...stdio] })
    })
  }

  /** Runs a program, which the kernel ends when we are gone. */
  static spawn(argv: readonly string[], options: ServeProcessOptions): ServeProcess {
    return withLog(options, (output) => {
      const stdio = ['ignore', output, output, options.lockFd] as const
      const bound = ['--pdeathsig', 'TERM', '--', ...argv]
      return spawn('setpriv', bound, { detached: true, env: { ...options.env }, stdio: [...stdio] })
    })
  }

  /** The first message that `pick` knows. Throws ServeError ENDED when the process ends before. */
  async firstMessage<T>(pick: (message: unknown) => T | undefined): Promise<T> {
    const told = new Promise<T>((resolve) => {
      const listen = (message: unknown) => {
        const picked = pick(message)
        if (picked === undefined) return
        this.#child.off('message', listen)
        resolve(picked)
      }
      this.#child.on('message', listen)
    })
    const first = await Promise.race([told, this.ended])
    if (first instanceof ServeError) throw first
    return first
  }

  /** Asks it to end, and kills it when it has not within `withinMs`. Resolves when it is gone. Idempotent. */
  async stop(withinMs: number): Promise<void> {
    if (!this.#stopping) this.#child.kill('SIGTERM')
    this.#stopping = true
    const late = setTimeout(() => this.#child.kill('SIGKILL'), withinMs)
    await this.ended
    clearTimeout(late)
  }

  #failedToStart(error: Error): ServeError {
    const missing = 'code' in error && error.code === 'ENOENT'
    return missing
      ? new ServeError('MISSING', `${this.name}: expected setpriv (util-linux) on the PATH, found none; install it`)
      : new ServeError('ENDED', `${this.name} did not start: ${error.message}`, { cause: error })
  }

  #refused(): ServeError {
    return new ServeError('INVALID', this.#lastLines().findLast((line) => !line.startsWith('{')) ?? `see ${this.#log}`)
  }

  #endedEarly(how: string): ServeError {
    const said = this.#lastLines().at(-1) ?? ''
    return new ServeError('ENDED', `${this.name} ended by itself (${how}): ${said}; its log is ${this.#log}`)
  }

  #lastLines(): string[] {
    return readFileSync(this.#log, 'utf8').slice(-TAIL_CHARACTERS).trim().split('\n')
  }
}

function withLog(options: ServeProcessOptions, start: (output: number) => ChildProcess): ServeProcess {
  const output = openSync(options.log, 'a', 0o640)
  try {
    return new ServeProcess(start(output), options)
  } finally {
    closeSync(output)
  }
}
