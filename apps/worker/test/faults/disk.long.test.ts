import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { until } from '../start-service.ts'
import { fault } from './fault.ts'
import { FaultBench, REAL_GUEST } from './fault-bench.ts'
import { SmallDisk } from './small-disk.ts'

/** Each file system that the service writes to is full while a real guest is dumped. Needs root, to mount small ones. */
const folder = mkdtempSync(join(tmpdir(), 'ullage-small-disks-'))
const MIB = 2 ** 20

let bench: FaultBench
let artifacts: SmallDisk
let journal: SmallDisk
let state: SmallDisk
beforeAll(async () => {
  // SQLite's write-ahead log alone grows to 4 MiB.
  journal = new SmallDisk(join(folder, 'journal'), 16 * MIB)
  state = new SmallDisk(join(folder, 'state'), MIB)
  bench = await FaultBench.start({
    guests: 'real',
    apiEnv: { ULLAGE_STATE_DIR: journal.folder },
    // It is the end of the disk itself that is met here.
    workerEnv: { ULLAGE_STATE_DIR: state.folder, ULLAGE_FREE_BYTES: '0' },
  })
  artifacts = new SmallDisk(bench.service.artifactsDir, 256 * MIB)
  bench.watchArtifactsAgain()
})
afterAll(async () => {
  for (const disk of [artifacts, journal, state]) disk?.[Symbol.dispose]()
  await bench?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

/** A fault that is over when there is room again. */
function onSmallDisks(name: string, harm: () => Promise<void>): void {
  const mend = () => {
    for (const disk of [artifacts, journal, state]) disk.clear()
  }
  fault(name, () => bench, harm, { mend })
}

onSmallDisks('disk of artifacts full before the header', async () => {
  artifacts.fill(64 << 10)
  const dump = await bench.slowDump()
  const { failure } = await bench.service.untilState(dump.id, ['failed'])
  expect(failure?.code).toBe('NO_SPACE')
})

onSmallDisks('disk of artifacts full while pages are written', async () => {
  const dump = await bench.slowDump()
  await bench.untilStage(dump, 'write')
  artifacts.fill()
  const { failure } = await bench.service.untilState(dump.id, ['failed'])
  expect(failure?.code).toBe('NO_SPACE')
})

onSmallDisks('disk of artifacts full while the artifact is read back, before the report', async () => {
  const dump = await bench.slowDump()
  const pid = await bench.dumpProcess(dump)
  await bench.untilPaused()
  // All is read then; what is left to write is little, and the report.
  await until('the guest runs again', async () => (await bench.guest?.status()) === 'running')
  process.kill(pid, 'SIGSTOP')
  artifacts.fill()
  process.kill(pid, 'SIGCONT')
  const { failure } = await bench.service.untilState(dump.id, ['failed'])
  expect(failure?.code).toBe('NO_SPACE')
})

onSmallDisks("disk of the worker's state full", async () => {
  state.fill()
  const dump = await bench.slowDump()
  const { failure } = await bench.service.untilState(dump.id, ['failed'])
  expect(failure?.code).toBe('NO_SPACE')
})

onSmallDisks('disk of the journal full when a dump is posted', async () => {
  journal.fill()
  const refused = await bench.service.post({ guest: REAL_GUEST })
  expect(refused.status).toBe(503)
  expect(await refused.json()).toMatchObject({ code: 'JOURNAL_UNWRITABLE' })
  const readyz = async () => (await bench.service.request('/readyz')).status
  await until('the API says that it is not ready', async () => (await readyz()) === 503)
  journal.clear()
  await until('it is ready again', async () => (await readyz()) === 200)
})

onSmallDisks('disk of the journal full while a dump ends', async () => {
  const dump = await bench.slowDump()
  await bench.untilStage(dump, 'write')
  journal.fill()
  await until('it is published', () => bench.saidPublished(dump.id) === 1, 60_000)
  journal.clear()
  await bench.service.untilState(dump.id, ['succeeded'])
})
