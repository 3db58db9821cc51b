import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { bootGuest, type LabGuest } from '@ullage/lab'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { runUllage, startUllage } from './run-ullage.ts'

/** How long a guest may stay paused after whatever paused it has died. */
const RUNS_AGAIN_WITHIN_MS = 2000

let folder: string
let guest: LabGuest
let descriptor: string

beforeAll(async () => {
  guest = await bootGuest({ era: 'bookworm', memMiB: 256, balloonMiB: 32, fillMiB: 64 })
})
afterAll(() => guest?.[Symbol.asyncDispose]())

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-live-faults-'))
  descriptor = join(folder, 'guest.json')
  const source = { kind: 'qmp', socket: guest.qmpSocket }
  writeFileSync(descriptor, JSON.stringify({ backend: 'virtio-balloon', source }))
  return () => rmSync(folder, { recursive: true })
})

const stateDir = () => join(folder, 'state')

/** A dump slow enough to be met while the guest is paused. */
function startSlowDump(file: string) {
  const args = ['dump', descriptor, '-o', join(folder, file), '--level', '0', '--compress', 'zlib', '--jobs', '1']
  const child = startUllage(args, { stateDir: stateDir() })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  return { child, exited: once(child, 'exit'), stderr: () => stderr }
}

async function untilStatus(wanted: string, withinMs: number): Promise<number> {
  const started = performance.now()
  for (;;) {
    if ((await guest.status()) === wanted) return performance.now() - started
    if (performance.now() - started > withinMs) throw new Error(`the guest is not ${wanted} after ${withinMs} ms`)
    await sleep(5)
  }
}

/** Files of dumps, whole or partial. */
function leftBehind(): string[] {
  return readdirSync(folder).filter((name) => name !== 'guest.json' && name !== 'state')
}

test('SIGINT while the guest is paused: status 130, the guest runs, nothing is left', async () => {
  const dump = startSlowDump('a.vmcore')
  await untilStatus('paused', 20_000)
  dump.child.kill('SIGINT')
  expect(await dump.exited).toEqual([130, null])
  await untilStatus('running', RUNS_AGAIN_WITHIN_MS)
  expect(dump.stderr()).toMatch(/interrupted/)
  expect(leftBehind()).toEqual([])
})

test('kill -9 while the guest is paused: it runs again within two seconds, and can be dumped again', async () => {
  const dump = startSlowDump('a.vmcore')
  await untilStatus('paused', 20_000)
  dump.child.kill('SIGKILL')
  await dump.exited
  await untilStatus('running', RUNS_AGAIN_WITHIN_MS)
  expect(leftBehind()).toEqual([])
  const again = await runUllage(['dump', descriptor, '-o', join(folder, 'b.vmcore')], { stateDir: stateDir() })
  expect(again.stderr).toBe('')
  expect(again.status).toBe(0)
})

test('a second dump of the same guest is refused and does not disturb the first', async () => {
  const first = startSlowDump('a.vmcore')
  await untilStatus('paused', 20_000)
  const second = await runUllage(['dump', descriptor, '-o', join(folder, 'b.vmcore')], { stateDir: stateDir() })
  expect(second.stderr).toMatch(/already|another/)
  expect(second.stderr).not.toMatch(/\n\s+at /)
  expect(second.status).toBe(1)
  expect(await first.exited).toEqual([0, null])
  expect(await guest.status()).toBe('running')
  expect(leftBehind().sort()).toEqual(['a.vmcore', 'a.vmcore.report.json'])
})

// Last: it ends the guest that the tests before it share.
test('a QEMU that dies mid-dump: a reason, no stack trace, nothing left', async () => {
  const dump = startSlowDump('a.vmcore')
  await untilStatus('paused', 20_000)
  process.kill(guest.pid, 'SIGKILL')
  const [status] = (await dump.exited) as [number | null]
  expect(status).toBe(1)
  expect(dump.stderr()).toMatch(/qemu/i)
  expect(dump.stderr()).not.toMatch(/\n\s+at /)
  expect(leftBehind()).toEqual([])
})
