import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DomainPause } from '../../src/live/domain-pause.ts'
import { pauseRecordPath, readPauseRecord, writePauseRecord } from '../../src/live/pause-record.ts'
import { bootId } from '../../src/live/boot-id.ts'
import { resumeAbandonedDomains } from '../../src/live/resume-abandoned.ts'
import { domainInfo, FakeHypervisor, type PauseCount } from './fake-hypervisor.ts'
import { pauseFile } from './pause-file.ts'

const main = new URL('./fake-guardian-main.ts', import.meta.url)
const GONE = { pid: 2 ** 22 + 1, startTicks: 1 }

let stateDir: string
let recordPath: string
let count: PauseCount
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'ullage-xen-pause-'))
  recordPath = pauseRecordPath(stateDir, domainInfo().handle)
  count = pauseFile(`${recordPath}.count`)
})
afterEach(() => rmSync(stateDir, { recursive: true }))

const hypervisor = () => new FakeHypervisor({ info: domainInfo(), frames: new Map() }, count)

async function take(): Promise<DomainPause> {
  const xen = hypervisor()
  return DomainPause.take(xen, xen.info(7) ?? domainInfo(), { recordPath, main })
}

async function until(what: string, holds: () => boolean, withinMs = 20_000): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await delay(20)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function startHolder(): Promise<{ child: ChildProcess; mode: string; guardianPid: number }> {
  const holder = fileURLToPath(new URL('./holder-main.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@ullage/source', holder, recordPath], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, ...(JSON.parse(line.toString()) as { mode: string; guardianPid: number }) }
}

describe('a pause', () => {
  it('is one in the domain’s count, and is taken back once', async () => {
    const pause = await take()
    expect([pause.mode, count.get()]).toEqual(['paused', 1])
    expect(readPauseRecord(recordPath)?.stage).toBe('paused')
    const { guardianPid } = pause
    expect(isAlive(guardianPid)).toBe(true)
    const pausedMs = await pause.resume()
    expect(pausedMs).toBeGreaterThan(0)
    expect(await pause.resume()).toBe(pausedMs)
    await pause[Symbol.asyncDispose]()
    expect([count.get(), existsSync(recordPath), isAlive(guardianPid)]).toEqual([0, false, false])
  })

  it('of a domain that stood still already leaves it so', async () => {
    count.set(1)
    const pause = await take()
    expect([pause.mode, count.get()]).toEqual(['stopped', 2])
    expect(await pause.resume()).toBe(0)
    expect(count.get()).toBe(1)
  })

  it('outlasts the one of somebody else who lets the domain go meanwhile', async () => {
    count.set(1)
    const pause = await take()
    count.set(1)
    await pause.resume()
    expect(count.get()).toBe(0)
  })

  it('says when somebody else let the domain run', async () => {
    const pause = await take()
    count.set(0)
    await expect(pause.resume()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: /somebody else let it run/ })
    expect([count.get(), existsSync(recordPath)]).toEqual([0, false])
  })

  it('survives its guardian, which is replaced', async () => {
    const pause = await take()
    const first = pause.guardianPid
    process.kill(first, 'SIGKILL')
    await until('another guardian', () => pause.guardianPid !== 0 && pause.guardianPid !== first)
    expect(count.get()).toBe(1)
    await pause.resume()
    expect([count.get(), existsSync(recordPath)]).toEqual([0, false])
  })

  it('is taken back by its holder when the guardian is killed at the same moment', async () => {
    const pause = await take()
    process.kill(pause.guardianPid, 'SIGKILL')
    await pause.resume()
    expect([count.get(), existsSync(recordPath)]).toEqual([0, false])
  })

  it.each(['process', 'process group'] as const)('is taken back when the %s of its holder is killed', async (what) => {
    count.set(1)
    const { child, guardianPid, mode } = await startHolder()
    expect([mode, count.get()]).toEqual(['stopped', 2])
    const pid = child.pid as number
    process.kill(what === 'process' ? pid : -pid, 'SIGKILL')
    await until('the guardian has ended', () => !isAlive(guardianPid))
    expect([count.get(), existsSync(recordPath)]).toEqual([1, false])
  })
})

describe('a pause whose holder and guardian were killed together', () => {
  async function killBoth(): Promise<void> {
    const { child, guardianPid } = await startHolder()
    process.kill(guardianPid, 'SIGSTOP')
    child.kill('SIGKILL')
    await once(child, 'exit')
    process.kill(guardianPid, 'SIGKILL')
    await until('the guardian has ended', () => !isAlive(guardianPid))
  }

  it.each([0, 1])('is taken back by the next one, with %i of others', async (others) => {
    count.set(others)
    await killBoth()
    expect(count.get()).toBe(others + 1)
    const pause = await take()
    expect([pause.mode, count.get()]).toEqual([others === 0 ? 'paused' : 'stopped', others + 1])
    await pause.resume()
    expect([count.get(), existsSync(recordPath)]).toEqual([others, false])
  })

  it('is not forgotten where its record is damaged: nothing is paused', async () => {
    count.set(1)
    writeFileSync(recordPath, '{')
    await expect(take()).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining(recordPath) })
    expect([count.get(), existsSync(recordPath)]).toEqual([1, true])
  })
})

describe('resumeAbandonedDomains', () => {
  const resume = () => resumeAbandonedDomains(stateDir, async () => hypervisor())
  const record = (change: object) => {
    const holder = GONE
    const { domid, handle } = domainInfo()
    writePauseRecord(recordPath, {
      domid,
      handle,
      bootId: bootId(),
      pausedBefore: false,
      holder,
      stage: 'paused',
      ...change,
    })
  }

  it('takes back a pause whose holder and guardian were killed together', async () => {
    const { child, guardianPid } = await startHolder()
    process.kill(guardianPid, 'SIGSTOP')
    child.kill('SIGKILL')
    await once(child, 'exit')
    process.kill(guardianPid, 'SIGKILL')
    await until('the guardian has ended', () => !isAlive(guardianPid))
    expect(count.get()).toBe(1)
    expect(await resume()).toEqual([{ guest: 'domain 7', outcome: 'resumed' }])
    expect([count.get(), existsSync(recordPath)]).toEqual([0, false])
    expect(await resume()).toEqual([])
  })

  it('leaves alone a domain that a living process holds', async () => {
    const { child } = await startHolder()
    expect(await resume()).toEqual([{ guest: 'domain 7', outcome: 'inUse' }])
    expect(count.get()).toBe(1)
    child.kill('SIGKILL')
    await until('the domain runs', () => count.get() === 0)
  })

  it.each([
    ['of a domain that runs', 0, {}, 'notPaused', 0],
    ['of a domain that others have paused as well', 2, { pausedBefore: true }, 'resumed', 1],
    [
      'that may not have been made, where others had paused it',
      1,
      { pausedBefore: true, stage: 'pausing' },
      'leftPaused',
      1,
    ],
    ['that may not have been made, where nobody else had', 1, { stage: 'pausing' }, 'resumed', 0],
    [
      'that may have been taken back, where others had paused it',
      1,
      { pausedBefore: true, stage: 'unpausing' },
      'leftPaused',
      1,
    ],
    ['of another domain with that number', 1, { handle: 'f'.repeat(32) }, 'gone', 1],
    ['from before the host was booted', 1, { bootId: 'another' }, 'gone', 1],
  ] as const)('settles a record %s', async (_, before, change, outcome, after) => {
    count.set(before)
    record(change)
    expect(await resume()).toEqual([{ guest: 'domain 7', outcome }])
    expect([count.get(), existsSync(recordPath)]).toEqual([after, false])
  })

  it('tells of a damaged record and keeps it', async () => {
    record({ stage: 'elsewhere' })
    expect(await resume()).toMatchObject([{ guest: recordPath, outcome: 'failed' }])
    expect(existsSync(recordPath)).toBe(true)
    expect(await resumeAbandonedDomains(join(stateDir, 'missing'))).toEqual([])
  })
})
