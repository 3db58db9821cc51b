import { availableParallelism } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { startDelivery } from '@ullage/artifact-store'
import { type DumpProgress, publishedFiles } from '@ullage/dump-job'
import { setParentDeathSignal } from '@ullage/native'
import {
  type ChildMessage,
  childMessage,
  childOrder,
  type ChildTask,
  childTask,
  type SpaceNeed,
} from './child-protocol.ts'
import { DumpSpace } from './dump-space.ts'
import type { Engine, Owned } from './engine.ts'
import { errnoOf } from './errno-of.ts'
import { lockDescriptor } from './lock-descriptor.ts'

/** Compression threads unless the settings say otherwise: more of them gain little. */
const MOST_THREADS = 16
/** Locks that go with this process: nobody else begins while it is there, also when it has nothing left to do. */
const lockedUntilTheEnd: AsyncDisposable[] = []
/** Milliseconds between two messages about progress. */
const PROGRESS_EVERY_MS = 250

/**
 * Does the one thing this process's parent asks for, says how it ended, and ends the process.
 *
 * The parent's death ends this process at once (the kernel sends SIGKILL, also while it is busy); what was paused is then
 * resumed by the guardian. Signals that a terminal or a service manager sends to the whole group are left to the parent,
 * which asks for an orderly end.
 */
export function serveParent<Descriptor extends Owned, Guest extends AsyncDisposable>(
  engine: Engine<Descriptor, Guest>,
): void {
  const parent = Number(process.argv[2])
  setParentDeathSignal('SIGKILL')
  if (process.ppid !== parent) process.exit(1)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
  process.once('disconnect', () => process.exit(1))

  const cancelled = new AbortController()
  const admitted = Promise.withResolvers<void>()
  // Whoever waits for it hears of a refusal.
  admitted.promise.catch(() => undefined)
  process.on('message', (message) => {
    const { data: order } = childOrder.safeParse(message)
    switch (order?.order) {
      case 'cancel':
        cancelled.abort()
        return admitted.reject(cancelled.signal.reason)
      case 'goOn':
        return admitted.resolve()
      case 'refuse':
        return admitted.reject(Object.assign(new Error(order.message), { code: order.code }))
    }
    const orders = { signal: cancelled.signal, admitted: admitted.promise }
    answer(engine, childTask.parse(message), orders).catch(toFailed).then(sayLast)
  })
}

/** What the parent may say later. */
interface Orders {
  /** Aborted when it wants an end. */
  readonly signal: AbortSignal
  /** Settled when it has decided about what was asked for, or wants an end. */
  readonly admitted: Promise<void>
}

async function answer<Descriptor extends Owned, Guest extends AsyncDisposable>(
  engine: Engine<Descriptor, Guest>,
  task: ChildTask,
  { signal, admitted }: Orders,
): Promise<ChildMessage> {
  // Telling pages pauses nobody, so there is nobody to guard.
  const guardianScope = task.task === 'dump' ? task.guardianScope : 'session'
  const { stateDir } = task
  if (task.task === 'dump') lockedUntilTheEnd.push(await lockDescriptor(task.descriptor, signal))
  const descriptor = await engine.loadDescriptor(task.descriptor)
  requireTenant(descriptor, task)
  const pauses = task.task === 'dump' && !task.options.live
  await using guest = await engine.openGuest(descriptor, { stateDir, guardianScope, pauses, signal })
  if (task.task === 'pages') {
    const pages = await engine.pagesOf(guest, { pause: false, signal })
    return childMessage.parse({ say: 'pages', pages: JSON.parse(JSON.stringify(pages)) })
  }
  const onProgress = throttle((progress) => say({ say: 'progress', progress }))
  const space = new DumpSpace({
    output: task.output,
    delivery: task.delivery,
    keepFreeBytes: task.keepFreeBytes,
    ask: (needs: SpaceNeed[]) => {
      say({ say: 'needs', needs })
      return admitted
    },
    tell: (left) => say({ say: 'left', left }),
  })
  await using underWay = await startDelivery(task.delivery, signal)
  const report = await engine.dumpGuest(guest, {
    ...task.options,
    output: task.output,
    reportPath: join(dirname(task.output), publishedFiles.report),
    jobs: task.threads ?? Math.min(availableParallelism(), MOST_THREADS),
    ...(task.memoryBytes !== undefined && { memoryBytes: task.memoryBytes }),
    dryRun: false,
    signal,
    onProgress: (progress) => {
      if (progress.stage === 'verify') space.written()
      onProgress(progress)
    },
    admit: space.admit,
    follower: space.follower(underWay.follower),
  })
  await space.store()
  const delivered = await underWay.finish(task.output, (done, total) => {
    space.stored(done)
    onProgress({ stage: 'store', done, total })
  })
  const said = childMessage.parse({ say: 'dumped', report: JSON.parse(JSON.stringify(report)), delivered })
  // The folder is the attempt's own and gets another name; clients have no use for either.
  if (said.say === 'dumped') said.report.artifact.file = basename(said.report.artifact.file)
  return said
}

/** A guest may have been given to another tenant since the job was accepted: theirs it then is not to dump. */
function requireTenant({ tenant = null }: Owned, { guest, tenant: expected }: ChildTask): void {
  if (tenant === expected) return
  const message = `guest ${guest} no longer belongs to whom it did when this was accepted; ask again`
  throw Object.assign(new Error(message), { code: 'GUEST_NOT_FOUND' })
}

/** An error as the parent hears it: the code it carries, and its sentence. Its stack goes to stderr when it has no code. */
function toFailed(error: unknown): ChildMessage {
  const code = errnoOf(error)
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof Error && error.name === 'AbortError') return { say: 'failed', code: 'CANCELLED', message }
  if (code === undefined) process.stderr.write(`${error instanceof Error ? (error.stack ?? message) : message}\n`)
  return { say: 'failed', code: code ?? 'INTERNAL', message }
}

function say(message: ChildMessage): void {
  process.send?.(message)
}

function sayLast(message: ChildMessage): void {
  process.send?.(message, undefined, undefined, () => process.exit(0))
}

/** Passes on the first and the last of every stage, in between at most one each PROGRESS_EVERY_MS. */
function throttle(pass: (progress: DumpProgress) => void): (progress: DumpProgress) => void {
  let last = Number.NEGATIVE_INFINITY
  let stage = ''
  return (progress) => {
    const now = performance.now()
    const ended = progress.done >= progress.total
    if (progress.stage === stage && !ended && now - last < PROGRESS_EVERY_MS) return
    last = now
    stage = progress.stage
    pass(progress)
  }
}
