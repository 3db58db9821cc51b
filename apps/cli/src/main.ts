import manifest from '../package.json' with { type: 'json' }
import { EXIT, exitFor } from './exit-status.ts'
import { HelpRequest, UsageError } from './usage-error.ts'

const help = `usage: ullage COMMAND …

  dump GUEST -o FILE      dump a guest: what it and the host say is there, and nothing else
  pages GUEST             what guest and host say of each frame, as a matrix of class and state
  guard GUEST             which frames that a guest needs to kexec are not there
  verify FILE             read every page of a vmcore back
  inspect FILE            what a vmcore is and holds
  decrypt FILE -o OUT     the vmcore in an artifact that was encrypted where it was kept
  serve                   API, worker and a private Redis on this host

GUEST is the path of a guest descriptor, a JSON file. 'ullage COMMAND --help' says more.
`

type Command = (args: readonly string[], signal: AbortSignal) => Promise<void>

/** Each command is loaded when it is called, so that none pays for another. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  dump: async () => (await import('./commands/dump.ts')).dump,
  pages: async () => (await import('./commands/pages.ts')).pages,
  guard: async () => (await import('./commands/guard.ts')).guard,
  verify: async () => (await import('./commands/verify.ts')).verify,
  inspect: async () => (await import('./commands/inspect.ts')).inspect,
  decrypt: async () => (await import('./commands/decrypt.ts')).decrypt,
  serve: async () => (await import('./commands/serve.ts')).serve,
}

/** What ends this process also while a file system hangs, once there is a command that may meet one. */
let endProcess: (status: number) => never = process.exit

async function run(args: readonly string[], signal: AbortSignal): Promise<void> {
  const [name, ...rest] = args
  if (name === '--version' || name === 'version') {
    process.stdout.write(`${manifest.version}\n`)
    return
  }
  if (name === undefined) throw new UsageError(`which command?\n${help}`)
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(help)
    return
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!load) throw new UsageError(`expected a command, found ${JSON.stringify(name)}\n${help}`)
  const command = await load()
  endProcess = (await import('@ullage/native/end-process')).endProcess
  await command(rest, signal)
}

/** How long what runs has to end after a signal, in milliseconds; serve may have to put its jobs back. */
const HEEDED_WITHIN_MS = process.argv[2] === 'serve' ? 90_000 : 10_000

/** How long what was begun has to end by itself after a failure, in milliseconds: a file system that hangs never does. */
const ENDED_WITHIN_MS = 1_000

const abort = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    abort.abort(new DOMException(`received ${name}`, 'AbortError'))
    // What does not heed the signal (a file system that hangs) must not keep the process: the guardian lets the guest run.
    setTimeout(() => endProcess(EXIT.interrupted), HEEDED_WITHIN_MS).unref()
  })
}
// A reader that closes its end of the pipe (`| head`) wants no more; that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done)
  process.stderr.write(`ullage: standard output cannot be written: ${error.message}\n`)
  process.exit(EXIT.failed)
})
process.stderr.on('error', () => process.exit(EXIT.failed))

// When nothing is left to do: without it Node takes down its heap piece by piece first.
process.once('beforeExit', () => process.exit())

try {
  await run(process.argv.slice(2), abort.signal)
} catch (error) {
  if (error instanceof HelpRequest) process.stdout.write(`usage: ${error.message}\n`)
  else fail(error)
}

function fail(error: unknown): void {
  const { status, message } = exitFor(error)
  process.stderr.write(`ullage: ${message}\n`)
  process.exitCode = status
  // Nothing that goes on now is waited for, but who reads what was said.
  setInterval(() => {
    if (process.stdout.writableLength + process.stderr.writableLength === 0) endProcess(status)
  }, ENDED_WITHIN_MS).unref()
}
