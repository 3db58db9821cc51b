import { createHash } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { verifyArtifact } from '@ullage/dump'
import { dumpReport, type DumpResource, isFinished } from '@ullage/dump-job'
import { until } from '../start-service.ts'
import { type FaultBench, REAL_GUEST } from './fault-bench.ts'

/** How long accepted dumps may take to come to an end after a fault is over, in milliseconds. */
const ENDS_WITHIN_MS = 90_000
/** How long processes of dumps and guardians may take to end when their dump has ended, in milliseconds. */
const GONE_WITHIN_MS = 5_000
/** What a guest that runs may come to use by itself in the meantime, in bytes; its balloon alone is 64 MiB. */
const GUEST_OWN_GROWTH = 4 << 20

/** What was found after a fault: figures of the table, and in sentences all that was not as it has to be. */
export interface Findings {
  readonly guestsLeftPaused: number
  readonly partialArtifacts: number
  readonly jobsLost: number
  readonly doublePublications: number
  readonly wrong: readonly string[]
}

/**
 * Waits until every accepted dump has ended, then has the service make one more, and looks at everything that must hold
 * whatever has happened: no guest is paused, nothing under artifacts is unfinished, every dump that was accepted is told
 * of, none is published twice, what is said to have succeeded is there and whole, no process is left, and the guest's
 * memory has not grown.
 */
export async function whatTheServiceTells(bench: FaultBench): Promise<Findings> {
  const wrong: string[] = []
  const ended = await endedDumps(bench, wrong)
  const jobsLost = bench.accepted.length - ended.length
  for (const dump of ended) wrong.push(...(await wrongWith(bench, dump)))

  const guestsLeftPaused = await pausedGuests(bench, wrong)
  await until('processes of dumps have ended', () => bench.livingDumpProcesses().length === 0, GONE_WITHIN_MS).catch(
    () => wrong.push(`expected no process of a dump, found ${bench.livingDumpProcesses().join(', ')}`),
  )
  const partial = await unfinished(bench, ended)
  wrong.push(...partial)
  const grown = bench.grownBytes()
  if (grown > GUEST_OWN_GROWTH) wrong.push(`the guest's backing has grown by ${grown} bytes`)

  await probe(bench, wrong)
  let doublePublications = 0
  for (const id of bench.accepted) {
    const times = Math.max(await bench.place.timesPublished(id), bench.saidPublished(id))
    if (times < 2) continue
    doublePublications++
    wrong.push(`dump ${id} was published ${times} times`)
  }
  return { guestsLeftPaused, partialArtifacts: partial.length, jobsLost, doublePublications, wrong }
}

/** The dumps that the API tells of and that have ended. Those that have not are wrong. */
async function endedDumps(bench: FaultBench, wrong: string[]): Promise<DumpResource[]> {
  const ended: DumpResource[] = []
  const deadline = performance.now() + ENDS_WITHIN_MS
  for (const id of bench.accepted) {
    let last = 'nothing'
    for (;;) {
      const dump = await bench.service.show(id).catch((error: unknown) => {
        last = String(error)
      })
      if (dump && isFinished(dump.state)) {
        ended.push(dump)
        break
      }
      if (dump) last = JSON.stringify(dump)
      if (performance.now() > deadline) {
        wrong.push(`dump ${id} was accepted and has not ended: ${last}`)
        break
      }
      await delay(20)
    }
  }
  return ended
}

/** What a finished dump says that is not so. */
async function wrongWith(bench: FaultBench, dump: DumpResource): Promise<string[]> {
  const { service } = bench
  const answer = await service.request(`${dump.links.self}/artifact`)
  const bytes = Buffer.from(await answer.arrayBuffer())
  if (dump.state !== 'succeeded') {
    const told = dump.failure?.message ?? ''
    const silent = told === '' || told.includes('\n') ? [`dump ${dump.id} is ${dump.state} without a sentence why`] : []
    return answer.status === 200 ? [...silent, `dump ${dump.id} is ${dump.state} and has an artifact`] : silent
  }
  if (answer.status !== 200) return [`dump ${dump.id} succeeded and its artifact is answered with ${answer.status}`]
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const report = dumpReport.parse(await (await service.request(`${dump.links.self}/report`)).json())
  const wrong: string[] = []
  for (const said of [report.artifact, dump.result?.artifact]) {
    if (said?.sha256 === sha256 && said.bytes === bytes.length) continue
    wrong.push(`dump ${dump.id} has ${bytes.length} bytes of sha256 ${sha256}, said are ${JSON.stringify(said)}`)
  }
  const { backedBytesBefore, backedBytesAfter } = report.hostMemory
  if (backedBytesAfter !== backedBytesBefore) {
    wrong.push(`dump ${dump.id} found ${backedBytesBefore} bytes backed and left ${backedBytesAfter}`)
  }
  if (report.guest.backend === 'test-double') return wrong
  const path = join(service.folder, `${dump.id}.vmcore`)
  writeFileSync(path, bytes)
  await verifyArtifact(path).catch((error: unknown) => {
    wrong.push(`dump ${dump.id} is not accepted by verify: ${String(error)}`)
  })
  rmSync(path)
  return wrong
}

async function pausedGuests(bench: FaultBench, wrong: string[]): Promise<number> {
  const status = bench.guest && (await bench.guest.status())
  if (status !== undefined && status !== 'running') wrong.push(`the guest is ${status}`)
  await until('records of paused guests are gone', () => bench.pauseRecords().length === 0, GONE_WITHIN_MS).catch(() =>
    wrong.push(`records of paused guests are left: ${bench.pauseRecords().join(', ')}`),
  )
  return Math.max(status === 'paused' ? 1 : 0, bench.pauseRecords().length)
}

/** Whatever is kept, or waits, that is not the whole artifact of a dump that succeeded. */
async function unfinished(bench: FaultBench, ended: readonly DumpResource[]): Promise<string[]> {
  const failed = new Set(ended.filter(({ state }) => state !== 'succeeded').map(({ id }) => id))
  const names = [...(await bench.place.unfinished((dump) => !failed.has(dump))), ...bench.spooled()]
  return names.map((name) => `expected whole published dumps only, found ${name}`)
}

/** The service has recovered by itself when a dump that is asked for now succeeds. */
async function probe(bench: FaultBench, wrong: string[]): Promise<void> {
  try {
    const guest = bench.guest ? REAL_GUEST : bench.describeDouble('succeed')
    const dump = await bench.dumpWhenAccepted({ guest })
    wrong.push(...(await wrongWith(bench, await bench.service.untilState(dump.id, ['succeeded']))))
  } catch (error) {
    wrong.push(`expected a dump to succeed after the fault: ${error instanceof Error ? error.message : String(error)}`)
  }
}
