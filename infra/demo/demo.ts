import { bootGuest, type LabGuest } from '@ullage/lab'
import { execFile } from 'node:child_process'
import { rmSync, statSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Dump, download, followDump, getJson, postDump } from './follow-dump.ts'
import { startService } from './start-service.ts'

const ERA = 'trixie'
const MEMORY_MIB = 256
const BALLOON_MIB = 128
const ARTIFACT = 'ullage-demo.vmcore'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
const MiB = 1 << 20
const mib = (bytes: number) => `${(bytes / MiB).toFixed(1)} MiB`
const say = (text = '') => process.stdout.write(`${text}\n`)

interface Report {
  readonly hostMemory: { backedBytesBefore: number; backedBytesAfter: number }
  readonly consistency: { pausedMs: number }
  readonly artifact: { bytes: number; sha256: string }
  readonly timingsMs: { total: number }
}

const abort = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => abort.abort(new Error(`received ${name}`)))

try {
  await demo(abort.signal)
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = abort.signal.aborted ? 130 : 1
}

async function demo(signal: AbortSignal): Promise<void> {
  const started = performance.now()
  const artifact = join(process.cwd(), ARTIFACT)
  // An artifact of an earlier demo makes way; nothing else is overwritten.
  rmSync(artifact, { force: true })

  say(`booting a guest of ${MEMORY_MIB} MiB (software emulation), RAM in a shared memory file …`)
  await using guest = await bootGuest({ era: ERA, memMiB: MEMORY_MIB, balloonMiB: BALLOON_MIB, signal })
  say(`  Linux ${guest.era.release}, balloon inflated by ${BALLOON_MIB} MiB, host backs ${mib(backedBytes(guest))}`)

  const guests = join(guest.folder, 'guests')
  await mkdir(guests)
  const descriptor = join(guests, 'demo.json')
  await writeFile(
    descriptor,
    JSON.stringify({ backend: 'virtio-balloon', source: { kind: 'qmp', socket: guest.qmpSocket } }),
  )
  say('starting Redis, API and worker …')
  const state = join(guest.folder, 'service')
  await using service = await startService({ guests, state, signal })
  say(`  ${service.url}`)

  say('POST /v1/dumps {"guest":"demo"} …')
  const accepted = await postDump(service.url, { guest: 'demo' }, signal)
  let last = ''
  const dump = await followDump(service.url, accepted, {
    signal,
    onState: (state) => {
      if (state !== last) say(`  ${state}`)
      last = state
    },
    onProgress: (stage, done, total) => {
      const line = `  ${stage} ${total === 0 ? 100 : Math.floor((done / total) * 100)} %`
      if (line !== last) say(line)
      last = line
    },
  })
  if (dump.state !== 'succeeded' || !dump.links.artifact || !dump.links.report) throw new Error(whyNot(dump))
  const report = await getJson<Report>(service.url, dump.links.report, signal)
  await download(service.url, dump.links.artifact, artifact, signal)
  const { stdout: verified } = await ullage(['verify', artifact])
  say(`  ${verified.trim().replace(`${artifact}: `, '')}`)
  if (!verified.includes(report.artifact.sha256)) throw new Error('the download is not the file that was written')

  say()
  say('what guest and host say of each frame:')
  say(indent((await ullage(['pages', descriptor], state)).stdout))

  // Last, because reading everything makes the host allocate what the balloon had given back.
  say("QEMU's own dump-guest-memory of the same guest, for comparison …")
  const theirs = await qemuDump(guest)

  const { hostMemory } = report
  say()
  table([
    ['', 'Ullage', 'QEMU dump-guest-memory'],
    ['file', mib(report.artifact.bytes), mib(theirs.bytes)],
    ['time', `${report.timingsMs.total} ms, verified`, `${theirs.ms} ms`],
    ['guest paused', `${report.consistency.pausedMs} ms`, `${theirs.ms} ms`],
    ['host memory before', mib(hostMemory.backedBytesBefore), mib(theirs.backedBefore)],
    ['host memory after', mib(hostMemory.backedBytesAfter), mib(theirs.backedAfter)],
  ])
  say()
  say(`${artifact}`)
  say(`done in ${((performance.now() - started) / 1000).toFixed(0)} s. Next: npx ullage inspect ${ARTIFACT}`)
}

function ullage(args: readonly string[], stateDir = join(root, '.tmp')) {
  return run(process.execPath, [join(root, 'apps/cli/bin/ullage.js'), ...args], {
    env: { ...process.env, ULLAGE_STATE_DIR: stateDir },
  })
}

function backedBytes(guest: LabGuest): number {
  return guest
    .backedRanges()
    .flatMap(({ ranges }) => ranges)
    .reduce((sum, { startByte, endByte }) => sum + endByte - startByte, 0)
}

async function qemuDump(guest: LabGuest) {
  const file = join(guest.folder, 'qemu.elf')
  await guest.stop()
  const backedBefore = backedBytes(guest)
  const started = performance.now()
  await guest.qmp('dump-guest-memory', { paging: false, protocol: `file:${file}` })
  const ms = Math.round(performance.now() - started)
  return { bytes: statSync(file).size, ms, backedBefore, backedAfter: backedBytes(guest) }
}

function whyNot(dump: Dump): string {
  return `the dump ended as ${dump.state}: ${dump.failure?.message ?? 'no reason was given'}`
}

function indent(text: string): string {
  return text.trimEnd().replace(/^(?=.)/gm, '  ')
}

function table(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  for (const row of rows)
    say(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('   ')
        .trimEnd(),
    )
}
