import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FolderStore, Keyring, StoreError } from '@ullage/artifact-store'
import { dumpOptions } from '@ullage/dump-job'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Journal } from './journal.ts'
import { retain } from './retention.ts'
import { toResource } from './to-resource.ts'

const DAY_MS = 86_400_000
let folder: string
let journal: Journal
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-retention-'))
  journal = new Journal(':memory:')
})
afterEach(() => {
  journal[Symbol.dispose]()
  rmSync(folder, { recursive: true })
})

function run(
  limits: { keepMs?: number; maxBytes?: number; forgetMs?: number },
  published = new FolderStore({ folder, keys: new Keyring([]) }),
  log = pino({ level: 'silent' }),
): Promise<void> {
  return retain({
    journal,
    published,
    log,
    keepMs: limits.keepMs,
    maxBytes: limits.maxBytes,
    forgetMs: limits.forgetMs,
  })
}

/** A dump that succeeded so many days ago, with an artifact of `bytes`. */
function dumped(days: number, bytes: number): string {
  const id = randomUUID()
  journal.accept({ id, guest: `g-${id}`, host: 'h1', options: dumpOptions.parse({}) })
  const artifact = {
    file: 'vmcore',
    bytes,
    sha256: 'a'.repeat(64),
    format: 'kdump',
    compression: 'zstd',
    level: 31,
  } as const
  const result = { artifact, pausedMs: 1, alarm: false, warnings: [], totalMs: 1 }
  journal.change(id, { state: 'running' })
  journal.change(id, { state: 'succeeded', finishedMs: Date.now() - days * DAY_MS, result })
  put(id, bytes)
  return id
}

/** A dump that ended so, so many days ago; one that is queued without an end. */
function ended(state: 'failed' | 'cancelled' | 'lost' | undefined, days: number): string {
  const id = randomUUID()
  journal.accept({ id, guest: `g-${id}`, host: 'h1', options: dumpOptions.parse({}) })
  if (state) journal.change(id, { state, finishedMs: Date.now() - days * DAY_MS })
  return id
}

/** The result of a dump whose artifact went so many days ago. */
function expired(id: string, days: number) {
  const result = journal.get(id)?.result
  if (!result) throw new Error(`the journal has no result of ${id}`)
  return { ...result, expiredAt: new Date(Date.now() - days * DAY_MS).toISOString() }
}

function put(name: string, bytes: number): void {
  mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, name, 'vmcore'), Buffer.alloc(bytes))
}

const resource = (id: string) => {
  const dump = journal.get(id)
  if (!dump) throw new Error(`the journal has no ${id}`)
  return toResource(dump)
}

test('without limits nothing goes, and nothing is read', async () => {
  const id = dumped(1000, 10)
  const reads = [vi.spyOn(journal, 'list'), vi.spyOn(journal.kept, 'oldest'), vi.spyOn(journal.kept, 'bare')]
  await run({})
  expect(readdirSync(folder)).toEqual([id])
  for (const read of reads) expect(read).not.toHaveBeenCalled()
})

/** A store that answers at once, so that nothing but the pages gives others their turn. */
class PromptStore extends FolderStore {
  override async remove(): Promise<void> {}
  override async stat() {
    return undefined
  }
  override async *list() {
    for (const dump of readdirSync(folder)) yield { dump, storedBytes: 10, publishedMs: 0 }
  }
  override async removeOrphans(): Promise<number> {
    return 0
  }
}

test.each([{ keepMs: DAY_MS }, { maxBytes: 1 }, { forgetMs: DAY_MS }])(
  'others have their turn while many dumps are gone through: %o',
  async (limits) => {
    const ids = Array.from({ length: 180 }, () => dumped(8, 10))
    if ('forgetMs' in limits) for (const id of ids) journal.change(id, { result: expired(id, 8) })
    let turns = 0
    const count = () => {
      turns++
      counting = setImmediate(count)
    }
    let counting = setImmediate(count)
    await run(limits, new PromptStore({ folder, keys: new Keyring([]) }))
    clearImmediate(counting)
    expect(turns).toBeGreaterThanOrEqual(3)
    const left = journal.list({ limit: 200 }).filter(({ result }) => result?.expiredAt === undefined)
    expect(left).toEqual([])
  },
)

test('what ended long ago and has no artifact is forgotten with its history, and nothing else', async () => {
  const [kept, longExpired, justExpired, lateAfterAll] = [400, 400, 400, 400].map((days) => dumped(days, 10))
  const [failed, young, active] = [ended('failed', 400), ended('cancelled', 300), ended(undefined, 0)]
  journal.change(longExpired ?? '', { result: expired(longExpired ?? '', 366) })
  journal.change(justExpired ?? '', { result: expired(justExpired ?? '', 364) })
  const lost = ended('lost', 400)
  // Its worker was away for long, and published after all.
  put(lost, 10)
  rmSync(join(folder, longExpired ?? ''), { recursive: true })
  rmSync(join(folder, justExpired ?? ''), { recursive: true })
  await run({})
  expect(journal.list({ limit: 9 })).toHaveLength(8)
  await run({ forgetMs: 365 * DAY_MS })
  const left = [kept, justExpired, lateAfterAll, young, active, lost]
  expect(new Set(journal.list({ limit: 9 }).map(({ id }) => id))).toEqual(new Set(left))
  for (const id of [failed, longExpired]) expect(journal.history.after(id ?? '', 0)).toEqual([])
  expect(journal.history.after(young, 0)).toHaveLength(2)
})

test('while the store does not answer nothing is forgotten', async () => {
  const failed = ended('failed', 400)
  const store = new PromptStore({ folder, keys: new Keyring([]) })
  store.stat = async () => {
    throw new StoreError('STORE_UNAVAILABLE', 'it hangs')
  }
  await run({ forgetMs: DAY_MS }, store)
  expect(journal.get(failed)).toBeDefined()
})

test('what is too old goes, and its resource says since when', async () => {
  const [old, young] = [dumped(8, 10), dumped(6, 10)]
  await run({ keepMs: 7 * DAY_MS })
  expect(readdirSync(folder)).toEqual([young])
  expect(resource(old)).toMatchObject({
    state: 'succeeded',
    result: { expiredAt: expect.stringMatching(/^20/), artifact: { bytes: 10 } },
    links: { artifact: null, report: null },
  })
  expect(resource(young).links.artifact).not.toBeNull()
  const { revision } = resource(old)
  await run({ keepMs: 7 * DAY_MS })
  expect(resource(old).revision).toBe(revision)
})

test('of too many bytes the oldest go, and none that the journal does not know', async () => {
  const [oldest, older, newest] = [dumped(3, 100), dumped(2, 100), dumped(1, 100)]
  const other = randomUUID()
  put(other, 5000)
  await run({ maxBytes: 200 })
  expect(readdirSync(folder).sort()).toEqual([older, newest, other].sort())
  expect(resource(oldest).result?.expiredAt).toBeDefined()
  await run({ maxBytes: 199 })
  expect(readdirSync(folder).sort()).toEqual([newest, other].sort())
})

test('pieces of attempts that died go after a day', async () => {
  put('.partial/h9/dead-1', 10)
  put('.partial/h9/alive-1', 10)
  const long = new Date(Date.now() - 2 * DAY_MS)
  for (const path of ['.partial/h9/dead-1/vmcore', '.partial/h9/dead-1']) utimesSync(join(folder, path), long, long)
  await run({})
  expect(readdirSync(join(folder, '.partial/h9'))).toEqual(['alive-1'])
})

/** A store that cannot remove one dump. */
class StuckStore extends FolderStore {
  stuck = ''
  override async remove(dump: string): Promise<void> {
    if (dump === this.stuck) throw new Error('not permitted')
    await super.remove(dump)
  }
}

test.each([{ keepMs: 2 * DAY_MS }, { maxBytes: 10 }])(
  'an artifact that cannot be removed is logged, and stops nothing else: %o',
  async (limits) => {
    const [oldest, older, young] = [dumped(8, 10), dumped(7, 10), dumped(1, 10)]
    put(`.removed-${randomUUID()}`, 10)
    const [cutShort = ''] = readdirSync(folder).filter((name) => name.startsWith('.removed'))
    const long = new Date(Date.now() - 2 * DAY_MS)
    for (const path of [`${cutShort}/vmcore`, cutShort]) utimesSync(join(folder, path), long, long)
    const store = new StuckStore({ folder, keys: new Keyring([]) })
    store.stuck = oldest
    const lines: string[] = []
    await run(limits, store, pino({ level: 'error' }, { write: (line: string) => void lines.push(line) }))
    expect(readdirSync(folder).sort()).toEqual([oldest, young].sort())
    expect(lines).toEqual([expect.stringContaining(oldest)])
    expect([resource(oldest), resource(older)].map(({ result }) => result?.expiredAt !== undefined)).toEqual([
      false,
      true,
    ])
  },
)
