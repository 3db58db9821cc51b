import { type PublishedArtifacts, StoreError } from '@ullage/artifact-store'
import type { FastifyBaseLogger } from 'fastify'
import type { DumpRecord } from './dump-record.ts'
import type { Journal } from './journal.ts'

const PAGE = 200
/** Pieces that no dump has are left alone for so long: an attempt may be at work with them. In milliseconds. */
const ORPHANS_AFTER_MS = 24 * 3_600_000

export interface RetentionOptions {
  readonly journal: Journal
  readonly published: PublishedArtifacts
  /** Artifacts of dumps that finished longer ago are removed, in milliseconds. */
  readonly keepMs: number | undefined
  /** Of those that are left the oldest are removed until they take no more, in bytes as they are kept. */
  readonly maxBytes: number | undefined
  readonly log: FastifyBaseLogger
}

/**
 * Removes artifacts that are too old or too many, of dumps in the journal alone, and notes that in their results; and pieces in
 * the store that belong to nothing. Never throws: what fails is logged, stops nothing else, and is tried the next time.
 */
export async function retain(options: RetentionOptions): Promise<void> {
  await attempt(options, () => retainDumps(options))
  await attempt(options, async () => {
    const orphans = await options.published.removeOrphans(ORPHANS_AFTER_MS)
    if (orphans > 0) options.log.info({ orphans }, 'pieces of artifacts that belong to no dump removed')
  })
}

async function retainDumps(options: RetentionOptions): Promise<void> {
  const { journal, published, keepMs, maxBytes } = options
  let kept = [...succeeded(journal)]
  if (keepMs !== undefined) {
    const before = Date.now() - keepMs
    const isOld = ({ finishedMs }: DumpRecord) => (finishedMs ?? 0) < before
    for (const dump of kept.filter(isOld)) await expire(options, dump, 'age')
    kept = kept.filter((dump) => !isOld(dump))
  }
  if (maxBytes !== undefined) {
    const bytes = new Map<string, number>()
    for await (const { dump, storedBytes } of published.list()) bytes.set(dump, storedBytes)
    let total = kept.reduce((sum, { id }) => sum + (bytes.get(id) ?? 0), 0)
    for (const dump of kept.sort((a, b) => (a.finishedMs ?? 0) - (b.finishedMs ?? 0))) {
      if (total <= maxBytes) break
      // One that stays takes its bytes: that does not cost a younger one its place.
      await expire(options, dump, 'bytes')
      total -= bytes.get(dump.id) ?? 0
    }
  }
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

/** Dumps whose artifact should be there. */
function* succeeded(journal: Journal): Generator<DumpRecord> {
  for (let beforeSeq: number | undefined; ; ) {
    const page = journal.list({ limit: PAGE, state: 'succeeded', beforeSeq })
    yield* page.filter(({ result }) => result !== null && result.expiredAt === undefined)
    if (page.length < PAGE) return
    beforeSeq = page.at(-1)?.seq
  }
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
