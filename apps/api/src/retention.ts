import { setImmediate } from 'node:timers/promises'
import { type PublishedArtifacts, StoreError } from '@ullage/artifact-store'
import type { FastifyBaseLogger } from 'fastify'
import type { DumpRecord } from './dump-record.ts'
import type { Journal } from './journal.ts'
import type { After } from './kept-dumps.ts'

/** Dumps that are read at once, while all else waits. */
const PAGE = 50
/** Pieces that no dump has are left alone for so long: an attempt may be at work with them. In milliseconds. */
const ORPHANS_AFTER_MS = 24 * 3_600_000

export interface RetentionOptions {
  readonly journal: Journal
  readonly published: PublishedArtifacts
  /** Artifacts of dumps that finished longer ago are removed, in milliseconds. */
  readonly keepMs: number | undefined
  /** Of those that are left the oldest are removed until they take no more, in bytes as they are kept. */
  readonly maxBytes: number | undefined
  /** Records of dumps that ended, or whose artifact went, longer ago are removed, in milliseconds. */
  readonly forgetMs?: number | undefined
  readonly log: FastifyBaseLogger
}

/**
 * Removes artifacts that are too old or too many, of dumps in the journal alone, and notes that in their results; records of dumps
 * that ended long ago; and pieces in the store that belong to nothing. Never throws: what fails is logged, stops nothing else, and is tried the next time.
 */
export async function retain(options: RetentionOptions): Promise<void> {
  await attempt(options, () => retainDumps(options))
  await attempt(options, () => forgetDumps(options))
  await attempt(options, async () => {
    const orphans = await options.published.removeOrphans(ORPHANS_AFTER_MS)
    if (orphans > 0) options.log.info({ orphans }, 'pieces of artifacts that belong to no dump removed')
  })
}

async function retainDumps(options: RetentionOptions): Promise<void> {
  const { journal, published, keepMs, maxBytes } = options
  if (keepMs !== undefined) {
    for await (const dump of kept(journal, Date.now() - keepMs)) await expire(options, dump, 'age')
  }
  if (maxBytes !== undefined) {
    const bytes = new Map<string, number>()
    let seen = 0
    for await (const { dump, storedBytes } of published.list()) {
      if (journal.kept.has(dump)) bytes.set(dump, storedBytes)
      if (++seen % PAGE === 0) await setImmediate()
    }
    let total = bytes.values().reduce((sum, each) => sum + each, 0)
    if (total <= maxBytes) return
    for await (const dump of kept(journal)) {
      // One that stays takes its bytes: that does not cost a younger one its place.
      await expire(options, dump, 'bytes')
      total -= bytes.get(dump.id) ?? 0
      if (total <= maxBytes) return
    }
  }
}

/** Dumps whose artifact should be there and that finished before then, the oldest first. Others have their turn between pages. */
async function* kept(journal: Journal, beforeMs?: number): AsyncGenerator<DumpRecord> {
  for (let after: After | undefined; ; ) {
    const page = journal.kept.oldest(PAGE, beforeMs, after)
    yield* page
    const last = page.at(-1)
    if (!last || page.length < PAGE) return
    after = { ms: last.finishedMs ?? 0, seq: last.seq }
    await setImmediate()
  }
}

/** Removes records of dumps that ended long ago and have no artifact, with their history. */
async function forgetDumps({ journal, published, forgetMs, log }: RetentionOptions): Promise<void> {
  if (forgetMs === undefined) return
  let forgotten = 0
  for (let after: After | undefined; ; ) {
    const page = journal.kept.bare(PAGE, Date.now() - forgetMs, after)
    const gone: string[] = []
    // What the journal has given up may have been published all the same: only its record leads there.
    for (const { id } of page) if ((await published.stat(id)) === undefined) gone.push(id)
    forgotten += journal.removeAll(gone)
    after = page.at(-1)
    if (page.length < PAGE) break
    await setImmediate()
  }
  if (forgotten > 0) log.info({ dumps: forgotten }, 'dumps forgotten that ended long ago')
}

/** Does so; logs a failure. */
async function attempt({ log }: RetentionOptions, act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    log[isUnavailable(error) ? 'warn' : 'error']({ err: error }, 'artifacts that are to go are still there')
  }
}

const isUnavailable = (error: unknown) => error instanceof StoreError && error.code === 'STORE_UNAVAILABLE'

/** Logs what concerns this dump alone; throws when the store does not answer, for it will not for the next one. */
async function expire(options: RetentionOptions, dump: DumpRecord, why: string): Promise<void> {
  try {
    await removeAndNote(options, dump, why)
  } catch (error) {
    if (isUnavailable(error)) throw error
    options.log.error({ err: error, job: dump.id }, 'an artifact that is to go is still there')
  }
}

async function removeAndNote(
  { journal, published, log }: RetentionOptions,
  dump: DumpRecord,
  why: string,
): Promise<void> {
  // The artifact first: what is not noted yet is removed again, what is noted is never looked for.
  await published.remove(dump.id)
  if (!dump.result) return
  journal.change(dump.id, { result: { ...dump.result, expiredAt: new Date().toISOString() } })
  log.info({ job: dump.id, guest: dump.guest, why }, 'artifact removed by retention')
}

/** Does so now and every `everyMs`. */
export function retainRegularly(options: RetentionOptions, everyMs: number): Disposable {
  let running = false
  const run = () => {
    if (running) return
    running = true
    void retain(options).finally(() => {
      running = false
    })
  }
  run()
  const timer = setInterval(run, everyMs)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
