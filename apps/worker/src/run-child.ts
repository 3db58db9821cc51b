import { type ChildProcess, fork } from 'node:child_process'
import type { DumpProgress } from '@ullage/dump-job'
import type { Logger } from 'pino'
import { admitDump } from './admit-dump.ts'
import { type ChildMessage, childMessage, type ChildOrder, type ChildTask, type SpaceNeed } from './child-protocol.ts'
import { AttemptError } from './job-failure.ts'
import type { SpaceClaim } from './space-ledger.ts'

/** How long a child may take to end that was asked to, or that has said all, in milliseconds. */
const END_WITHIN_MS = 10_000
/** What is logged of a child's stderr, in characters, per write. */
const STDERR_CHARACTERS = 8_192

export interface RunChildOptions {
  /** The module that the child runs. */
  readonly module: URL
  /** A child that says nothing for so long is killed, in milliseconds. */
  readonly silenceMs: number
  readonly log: Logger
  readonly signal?: AbortSignal
  /** Where what it needs is reserved, before it writes; without, it may write what it wants. The caller's to dispose of. */
  readonly space?: SpaceClaim
  readonly onProgress?: (progress: DumpProgress) => void
  readonly onStart?: (pid: number) => void
}

/** The last word of a child that did what it was asked. */
export type ChildAnswer = Extract<ChildMessage, { say: 'dumped' } | { say: 'pages' }>

/**
 * Has a process of its own do `task`, so that a crash in it costs no lock and its work blocks nobody's event loop.
 * Resolves once the process has ended. Throws AttemptError: with the code that the child said, or `CHILD_DIED`,
 * `CHILD_SILENT`, or `CANCELLED` after `signal` was aborted, which gives the child 10 s to end by itself; so does its last word.
 */
export async function runChild(task: ChildTask, options: RunChildOptions): Promise<ChildAnswer> {
  const { log, signal } = options
  if (signal?.aborted) throw new AttemptError('CANCELLED', 'cancelled before it began')
  // The same process group: who kills the worker's group kills the dump with it.
  const child = fork(options.module, [String(process.pid)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: withoutSettings(process.env),
    serialization: 'json',
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log.warn({ stderr: text.slice(0, STDERR_CHARACTERS) }, 'the child said')
  })

  let last: ChildMessage | undefined
  let silent = false
  const silence = setTimeout(() => {
    silent = true
    child.kill('SIGKILL')
  }, options.silenceMs)
  let overdue: NodeJS.Timeout | undefined
  const order = (what: ChildOrder) => {
    if (child.connected) child.send(what, ignoreUnheard)
  }
  const isOver = new AbortController()
  const admit = async (needs: readonly SpaceNeed[]) => {
    const answer = await admitDump(needs, {
      space: options.space,
      signal: AbortSignal.any([isOver.signal, ...(signal ? [signal] : [])]),
      log,
      // It is silent because it waits for us.
      onWait: () => silence.refresh(),
    })
    if (!answer || isOver.signal.aborted) return
    silence.refresh()
    order(answer)
  }
  const endSoon = () => {
    overdue ??= setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS)
  }
  const cancel = () => {
    order({ order: 'cancel' })
    endSoon()
  }
  child.on('message', (text) => {
    const message = childMessage.safeParse(text)
    if (!message.success) {
      last = { say: 'failed', code: 'INTERNAL', message: `the child said what it should not: ${message.error.message}` }
      child.kill('SIGKILL')
      return
    }
    silence.refresh()
    switch (message.data.say) {
      case 'progress':
        return options.onProgress?.(message.data.progress)
      case 'needs':
        return void admit(message.data.needs)
      case 'left':
        return options.space?.left(message.data.left)
      default:
        last = message.data
        // It ends by itself, unless a file system that hangs keeps it.
        endSoon()
    }
  })

  try {
    const ended = whenEnded(child)
    signal?.addEventListener('abort', cancel, { once: true })
    if (child.pid !== undefined) {
      options.onStart?.(child.pid)
      child.send(task, ignoreUnheard)
    }
    const how = await ended
    return judge({ last, how, silent, aborted: signal?.aborted ?? false, silenceMs: options.silenceMs })
  } finally {
    isOver.abort()
    signal?.removeEventListener('abort', cancel)
    clearTimeout(silence)
    clearTimeout(overdue)
    child.stderr?.destroy()
  }
}

/** A child that cannot be told anything is ending, and says so by that. */
function ignoreUnheard(): void {}

interface Ended {
  readonly last: ChildMessage | undefined
  readonly how: string
  readonly silent: boolean
  readonly aborted: boolean
  readonly silenceMs: number
}

function judge({ last, how, silent, aborted, silenceMs }: Ended): ChildAnswer {
  // What is done is done: an order that came too late does not undo it.
  if (last?.say === 'dumped' || last?.say === 'pages') return last
  if (aborted) throw new AttemptError('CANCELLED', 'cancelled while it ran')
  if (silent) {
    const message = `the dump process showed no progress for ${silenceMs / 1000} s and was ended; the worker's log has more`
    throw new AttemptError('CHILD_SILENT', message)
  }
  if (last?.say === 'failed') throw new AttemptError(last.code, last.message)
  throw new AttemptError('CHILD_DIED', `the dump process ended early (${how}); the worker's log has what it said`)
}

/** Resolves when the process has ended and all it said has been heard. Its stderr may live on in a process it started. */
function whenEnded(child: ChildProcess): Promise<string> {
  const exited = new Promise<string>((resolve, reject) => {
    child.once('error', (error) =>
      reject(new AttemptError('CHILD_DIED', `the dump process did not start: ${error.message}`, { cause: error })),
    )
    child.once('exit', (code, signal) => resolve(signal ?? `exit status ${code}`))
  })
  const heard = new Promise<void>((resolve) => {
    if (child.connected) child.once('disconnect', resolve)
    else resolve()
  })
  return Promise.all([exited, heard]).then(([how]) => how)
}

/**
 * A child has no use for the worker's settings, least of all for the address of Redis; nor for the credentials of an S3 store
 * in its environment: those come with its task, where it needs them.
 */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(ULLAGE|AWS)_/.test(name)))
}
