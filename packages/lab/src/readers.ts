import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { LabError } from './lab-error.ts'
import { readLabManifest } from './lab-manifest.ts'

/** `machine`: what this machine's own distribution has. `newest`: sid's, unpacked with its own libraries. */
export type ReaderVersion = 'machine' | 'newest'

export interface ReaderOptions {
  /** `newest` when left out. */
  readonly version?: ReaderVersion
  /** Given to the reader's standard input; nothing when left out. */
  readonly input?: string | Uint8Array
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface ReaderResult {
  /** The exit status; null when a signal ended it. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * The command line that starts a reader, or the kexec of a guest, its own arguments to be appended. Throws with the
 * reason when it cannot be had.
 */
export function readerCommand(
  name: 'crash' | 'makedumpfile' | 'drgn' | 'kexec',
  version: ReaderVersion = 'newest',
): string[] {
  const entry = readLabManifest().readers[`${name}-${version}`]
  if (entry === undefined || 'missing' in entry) {
    throw new LabError(
      `no ${name} (${version}): ${entry?.missing ?? 'set-up has not tried to get it'}; run npm run setup`,
    )
  }
  return [...entry.argv]
}

/** Runs makedumpfile. A status other than 0 is a result, not an error. */
export function makedumpfile(argv: readonly string[], options: ReaderOptions = {}): Promise<ReaderResult> {
  return run([...readerCommand('makedumpfile', options.version), ...argv], options)
}

/** Runs crash without start-up file or pager. A status other than 0 is a result, not an error. */
export function crash(argv: readonly string[], options: ReaderOptions = {}): Promise<ReaderResult> {
  return run([...readerCommand('crash', options.version), '-s', '--no_crashrc', '--no_scroll', ...argv], options)
}

/** Runs a Python script with drgn, sid's: `argv` is its `sys.argv` from 1 on. A status other than 0 is a result. */
export function drgn(script: string, argv: readonly string[], options: ReaderOptions = {}): Promise<ReaderResult> {
  return run([...readerCommand('drgn'), '-c', script, ...argv], options)
}

/**
 * What crash prints for these commands on this dump, one answer under a line `crash> command` each. Throws when crash
 * does not open the dump.
 */
export async function crashPrints(
  vmlinux: string,
  dump: string,
  commands: readonly string[],
  options: ReaderOptions = {},
): Promise<string> {
  const input = [...commands.flatMap((command) => [`!echo 'crash> ${command}'`, command]), 'quit', ''].join('\n')
  const { status, stdout, stderr } = await crash([vmlinux, dump], { ...options, input })
  if (status !== 0) throw new LabError(`crash does not open ${dump} (status ${status}):\n${stdout}\n${stderr}`.trim())
  return stdout
}

async function run(argv: readonly string[], options: ReaderOptions): Promise<ReaderResult> {
  const [program = '', ...rest] = argv
  const { input = '', timeoutMs = 300_000 } = options
  const child = spawn(program, rest, {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: timeoutMs,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    env: { ...process.env, TERM: 'dumb', LC_ALL: 'C' },
  })
  const ended = once(child, 'close')
  // A reader that refuses its arguments is gone before it has read its input.
  child.stdin.on('error', () => child.stdin.destroy())
  child.stdin.end(input)
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { status: child.exitCode, stdout, stderr }
}
