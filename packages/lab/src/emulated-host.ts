import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GuestAgent } from './guest-agent.ts'
import { LabError } from './lab-error.ts'

/** How a program ended on an emulated host. */
export interface RunResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  /** By the emulated host's clock, start of the program included. */
  readonly seconds: number
}

export interface EmulatedHostParts {
  readonly agent: GuestAgent
  readonly share: string
  readonly consoleText: () => string
  readonly dispose: AsyncDisposableStack
}

/** An emulated machine that hosts guests itself. It dies with this process, and takes its files with it. */
export class EmulatedHost implements AsyncDisposable {
  /** A folder of this machine, which the emulated host sees as /share. */
  readonly share: string
  readonly #parts: EmulatedHostParts
  #runs = 0

  constructor(parts: EmulatedHostParts) {
    this.#parts = parts
    this.share = parts.share
  }

  /** What was written to its console so far. */
  consoleText(): string {
    return this.#parts.consoleText()
  }

  /** Runs shell lines on it (busybox), returns what they printed; throws when they fail. */
  exec(script: string): Promise<string> {
    return this.#parts.agent.exec(script)
  }

  /** Runs one command line on it, however it ends. */
  async run(commandLine: string): Promise<RunResult> {
    const name = `run-${++this.#runs}`
    const at = (file: string): string => join(this.share, file)
    writeFileSync(at(`${name}.sh`), `${commandLine}\n`)
    const script = `a=$(cut -d' ' -f1 /proc/uptime); sh ${name}.sh > ${name}.out 2> ${name}.err; status=$?
echo $status $a $(cut -d' ' -f1 /proc/uptime)`
    const [status, start, end] = (await this.exec(script)).trim().split(' ').map(Number)
    const read = (file: string): string => readFileSync(at(file), 'utf8')
    if (status === undefined || start === undefined || end === undefined) throw new LabError(`${name} has no status`)
    return { status, stdout: read(`${name}.out`), stderr: read(`${name}.err`), seconds: end - start }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.dispose.disposeAsync()
  }
}
