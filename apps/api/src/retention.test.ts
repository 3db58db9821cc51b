import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FolderStore, Keyring } from '@ullage/artifact-store'
import { dumpOptions } from '@ullage/dump-job'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
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
  limits: { keepMs?: number; maxBytes?: number },
  published = new FolderStore({ folder, keys: new Keyring([]) }),
  log = pino({ level: 'silent' }),
): Promise<void> {
  return retain({ journal, published, log, keepMs: limits.keepMs, maxBytes: limits.maxBytes })
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

function put(name: string, bytes: number): void {
  mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, name, 'vmcore'), Buffer.alloc(bytes))
}

const resource = (id: string) => {
  const dump = journal.get(id)
  if (!dump) throw new Error(`the journal has no ${id}`)
  return toResource(dump)
}

test('without limits nothing goes', async () => {
  const id = dumped(1000, 10)
  await run({})
  expect(readdirSync(folder)).toEqual([id])
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
