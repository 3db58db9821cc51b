import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { guestStatus, lockGuest, pauseGuest, QmpClient, resumeAbandoned, startGuardian } from '@ullage/qemu'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FirmwareGuest, processState, startFirmwareGuest, until } from './firmware-guest.ts'

/** What the guest may stand still after its dump has died. */
const RESUMED_WITHIN_MS = 2000

let guest: FirmwareGuest
let observer: QmpClient
let stateDir: string

beforeEach(async () => {
  guest = await startFirmwareGuest()
  observer = await QmpClient.connect(guest.observerPath)
  stateDir = join(guest.folder, 'state')
})
afterEach(async () => {
  observer.close()
  await guest[Symbol.asyncDispose]()
})

const status = (): Promise<string> => guestStatus(observer)
const records = (): string[] =>
  existsSync(stateDir) ? readdirSync(stateDir).filter((name) => name.endsWith('.json')) : []

function isUnlocked(): boolean {
  try {
    lockGuest(guest.socketPath, { stateDir })[Symbol.dispose]()
    return true
  } catch {
    return false
  }
}

interface Holder {
  readonly process: ChildProcess
  readonly guardianPid: number
  readonly mode: string
}

/** Starts a process, leader of a group of its own, that pauses the guest and holds it; returns its first word. */
async function spawnHolder(): Promise<ChildProcess> {
  const main = fileURLToPath(new URL('./holder-main.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@ullage/source', main, guest.socketPath, stateDir], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return child
}

async function startHolder(): Promise<Holder> {
  const child = await spawnHolder()
  const [line] = (await once(child.stdout as Readable, 'data')) as [Buffer]
  const { mode, guardianPid } = JSON.parse(line.toString()) as { mode: string; guardianPid: number }
  return { process: child, guardianPid, mode }
}

describe('pauseGuest', () => {
  it('stops the guest, resumes it and leaves nothing behind', async () => {
    const client = await QmpClient.connect(guest.socketPath)
    const before = performance.now()
    const pause = await pauseGuest(client, { stateDir })
    expect(pause.mode).toBe('paused')
    expect(await status()).toBe('paused')
    expect(records()).toHaveLength(1)
    const guardianPid = pause.guardianPid as number
    expect(processState(guardianPid)).toBeDefined()
    const pausedMs = await pause.resume()
    expect(pausedMs).toBeGreaterThan(0)
    expect(pausedMs).toBeLessThan(performance.now() - before)
    expect(await status()).toBe('running')
    expect(await pause.resume()).toBe(pausedMs)
    await pause[Symbol.asyncDispose]()
    expect(records()).toEqual([])
    expect(processState(guardianPid)).toBeUndefined()
    client.close()
  })

  it.each(['process', 'process group'] as const)('runs again within 2 s when the %s is killed', async (what) => {
    const holder = await startHolder()
    expect(holder.mode).toBe('paused')
    expect(await status()).toBe('paused')
    const pid = holder.process.pid as number
    const killedAt = performance.now()
    process.kill(what === 'process' ? pid : -pid, 'SIGKILL')
    await until('the guest runs', async () => (await status()) === 'running', RESUMED_WITHIN_MS)
    expect(performance.now() - killedAt).toBeLessThan(RESUMED_WITHIN_MS)
    await until('the guardian has ended', () => processState(holder.guardianPid) === undefined)
    expect(records()).toEqual([])
    await until('the lock is free', isUnlocked)
  })

  const moments: [string, (holder: ChildProcess) => Promise<unknown>][] = [
    ['it begins to pause', async () => undefined],
    ['its record is on disk', () => until('there is a record', () => records().length > 0)],
    // Told to every monitor before the holder gets its answer.
    ['QEMU stops the guest', () => new Promise<void>((resolve) => observer.onEvent(() => resolve()))],
    ['it holds the guest', (holder) => once(holder.stdout as Readable, 'data')],
  ]
  it.each(moments)('runs again when the dump is killed the moment %s', async (_when, moment) => {
    const holder = await spawnHolder()
    await moment(holder)
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    await until('the guest runs', async () => (await status()) === 'running', RESUMED_WITHIN_MS)
    await until('the lock is free', isUnlocked)
    expect(await status()).toBe('running')
    expect(records()).toEqual([])
  })

  it('holds the lock for a dead dump until its guardian has resumed the guest', async () => {
    const holder = await startHolder()
    expect(() => lockGuest(guest.socketPath, { stateDir })).toThrow(
      expect.objectContaining({ code: 'GUEST_BUSY', message: expect.stringContaining(`pid ${holder.process.pid}`) }),
    )
    process.kill(holder.guardianPid, 'SIGSTOP')
    holder.process.kill('SIGKILL')
    await once(holder.process, 'exit')
    expect(() => lockGuest(guest.socketPath, { stateDir })).toThrow(/has died and its guardian is resuming/)
    process.kill(holder.guardianPid, 'SIGCONT')
    await until('the guest runs', async () => (await status()) === 'running', RESUMED_WITHIN_MS)
  })

  it('waits for a monitor that another client has taken first', async () => {
    const holder = await startHolder()
    process.kill(holder.guardianPid, 'SIGSTOP')
    holder.process.kill('SIGKILL')
    await once(holder.process, 'exit')
    const other = await QmpClient.connect(guest.socketPath)
    process.kill(holder.guardianPid, 'SIGCONT')
    await other.execute('query-status')
    expect(await status()).toBe('paused')
    other.close()
    await until('the guest runs', async () => (await status()) === 'running', RESUMED_WITHIN_MS)
  })

  it('does not resume what somebody else let run or what has stopped for another reason', async () => {
    const holder = await startHolder()
    await observer.execute('cont')
    await observer.execute('system_reset')
    holder.process.kill('SIGKILL')
    await until('the guardian has ended', () => processState(holder.guardianPid) === undefined)
    expect(await status()).toBe('running')
    expect(records()).toEqual([])
  })

  it('leaves a guest stopped that was stopped before', async () => {
    await observer.execute('stop')
    const client = await QmpClient.connect(guest.socketPath)
    const pause = await pauseGuest(client, { stateDir })
    expect(pause.mode).toBe('stopped')
    expect(pause.guardianPid).toBeUndefined()
    expect(await pause.resume()).toBe(0)
    await pause[Symbol.asyncDispose]()
    client.close()
    expect(await status()).toBe('paused')
    expect(records()).toEqual([])
  })

  it('tells that somebody else let the guest run', async () => {
    const client = await QmpClient.connect(guest.socketPath)
    const pause = await pauseGuest(client, { stateDir })
    await observer.execute('cont')
    await expect(pause.resume()).rejects.toMatchObject({ code: 'RESUMED_BY_OTHERS' })
    expect(await status()).toBe('running')
    expect(records()).toEqual([])
    client.close()
  })

  it('does not resume what somebody else let run and stopped again', async () => {
    const client = await QmpClient.connect(guest.socketPath)
    const pause = await pauseGuest(client, { stateDir })
    await observer.execute('cont')
    await observer.execute('stop')
    await expect(pause.resume()).rejects.toMatchObject({ code: 'RESUMED_BY_OTHERS' })
    expect(await status()).toBe('paused')
    client.close()
    await observer.execute('cont')

    const holder = await startHolder()
    const told = once(holder.process.stdout as Readable, 'data')
    await observer.execute('cont')
    await observer.execute('stop')
    expect(String((await told)[0])).toMatch(/^RESUME\n/)
    holder.process.kill('SIGKILL')
    await until('the guardian has ended', () => processState(holder.guardianPid) === undefined)
    expect(await status()).toBe('paused')
    expect(records()).toEqual([])
  })

  it('tells that a stopped guest did not stay so', async () => {
    await observer.execute('stop')
    const client = await QmpClient.connect(guest.socketPath)
    const pause = await pauseGuest(client, { stateDir })
    await observer.execute('cont')
    await expect(pause.resume()).rejects.toMatchObject({ code: 'RESUMED_BY_OTHERS' })
    client.close()
  })

  it('arms another guardian when the first is killed', async () => {
    const client = await QmpClient.connect(guest.socketPath)
    await using pause = await pauseGuest(client, { stateDir })
    const first = pause.guardianPid as number
    process.kill(first, 'SIGKILL')
    await until('another guardian is armed', () => pause.guardianPid !== undefined && pause.guardianPid !== first)
    await pause.resume()
    expect(await status()).toBe('running')
    client.close()
  })

  it('lets the guardian resume when its own connection is lost', async () => {
    const client = await QmpClient.connect(guest.socketPath)
    const pause = await pauseGuest(client, { stateDir })
    client.close()
    await expect(pause.resume()).rejects.toMatchObject({ code: 'GONE' })
    expect(await status()).toBe('running')
    expect(records()).toEqual([])
  })

  it('says that QEMU has died, and does not hang', async () => {
    const client = await QmpClient.connect(guest.socketPath)
    const pause = await pauseGuest(client, { stateDir })
    const guardianPid = pause.guardianPid as number
    guest.process.kill('SIGKILL')
    await expect(pause.resume()).rejects.toMatchObject({ code: 'GONE' })
    await pause[Symbol.asyncDispose]()
    expect(records()).toEqual([])
    expect(processState(guardianPid)).toBeUndefined()
  })

  it('arms a guardian that was started before', async () => {
    using lock = lockGuest(guest.socketPath, { stateDir })
    const options = { stateDir, lockFd: lock.fd }
    const guardian = startGuardian(guest.socketPath, options)
    const client = await QmpClient.connect(guest.socketPath)
    await using pause = await pauseGuest(client, { ...options, guardian })
    expect(pause.guardianPid).toBe(guardian.pid)
    expect(await status()).toBe('paused')
    await pause.resume()
    expect(await status()).toBe('running')
    expect(processState(guardian.pid)).toBeUndefined()
    await guardian.disarm()
    client.close()
  })

  it('has a guardian end that was started and guards nothing', async () => {
    const lock = lockGuest(guest.socketPath, { stateDir })
    const unused = startGuardian(guest.socketPath, { stateDir, lockFd: lock.fd })
    await unused.disarm()
    expect(processState(unused.pid)).toBeUndefined()
    const abandoned = startGuardian(guest.socketPath, { stateDir, lockFd: lock.fd })
    abandoned.handOver()
    await abandoned.ended
    lock[Symbol.dispose]()
    expect(isUnlocked()).toBe(true)
    expect(await status()).toBe('running')
    expect(records()).toEqual([])
  })

  it('stops nothing when the guardian that was started has died', async () => {
    const client = await QmpClient.connect(guest.socketPath)
    const guardian = startGuardian(guest.socketPath, { stateDir })
    process.kill(guardian.pid, 'SIGKILL')
    await expect(pauseGuest(client, { stateDir, guardian })).rejects.toMatchObject({ code: 'GUARDIAN_FAILED' })
    expect(await status()).toBe('running')
    expect(records()).toEqual([])
    client.close()
  })

  it('starts the guardian through a launcher', async () => {
    const client = await QmpClient.connect(guest.socketPath)
    await using pause = await pauseGuest(client, { stateDir, launcher: ['/usr/bin/env', 'LAUNCHED=yes'] })
    expect(readFileSync(`/proc/${pause.guardianPid}/environ`, 'latin1')).toContain('LAUNCHED=yes')
    await pause.resume()
    expect(await status()).toBe('running')
    client.close()
  })

  it('stops nothing when the guardian cannot be started, or the call is aborted', async () => {
    const client = await QmpClient.connect(guest.socketPath)
    const failing = pauseGuest(client, { stateDir, launcher: ['/bin/false'] })
    await expect(failing).rejects.toMatchObject({ code: 'GUARDIAN_FAILED' })
    const missing = pauseGuest(client, { stateDir, launcher: ['/nonexistent/launcher'] })
    await expect(missing).rejects.toMatchObject({ code: 'GUARDIAN_FAILED' })
    const aborted = pauseGuest(client, { stateDir, signal: AbortSignal.abort() })
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
    expect(await status()).toBe('running')
    expect(records()).toEqual([])
    client.close()
  })
})

describe('resumeAbandoned', () => {
  it('resumes what neither dump nor guardian lived to resume', async () => {
    const holder = await startHolder()
    expect(await resumeAbandoned(stateDir)).toEqual([{ socketPath: guest.socketPath, outcome: 'inUse' }])
    process.kill(holder.guardianPid, 'SIGSTOP')
    process.kill(-(holder.process.pid as number), 'SIGKILL')
    await once(holder.process, 'exit')
    expect(await resumeAbandoned(stateDir)).toEqual([{ socketPath: guest.socketPath, outcome: 'inUse' }])
    process.kill(holder.guardianPid, 'SIGKILL')
    await until('the guardian has ended', () => processState(holder.guardianPid) === undefined)
    expect(await status()).toBe('paused')
    // Its lock goes when the last of its threads has ended, a moment after the process is seen to have.
    let found = await resumeAbandoned(stateDir)
    await until('the lock is free', async () => {
      if (found[0]?.outcome === 'inUse') found = await resumeAbandoned(stateDir)
      return found[0]?.outcome !== 'inUse'
    })
    expect(found).toEqual([{ socketPath: guest.socketPath, outcome: 'resumed' }])
    expect(await status()).toBe('running')
    expect(await resumeAbandoned(stateDir)).toEqual([])
  })

  it('does not touch another QEMU at the same socket', async () => {
    const name = `${'0'.repeat(32)}.paused.json`
    const dead = { pid: guest.pid, startTicks: 1 }
    lockGuest(guest.socketPath, { stateDir })[Symbol.dispose]()
    writeFileSync(join(stateDir, name), JSON.stringify({ socketPath: guest.socketPath, qemu: dead, holder: dead }))
    await observer.execute('stop')
    expect(await resumeAbandoned(stateDir)).toEqual([{ socketPath: guest.socketPath, outcome: 'gone' }])
    expect(await status()).toBe('paused')
    expect(records()).toEqual([])
  })

  it('reports a record that is damaged and goes on', async () => {
    lockGuest(guest.socketPath, { stateDir })[Symbol.dispose]()
    writeFileSync(join(stateDir, `${'1'.repeat(32)}.paused.json`), '{}')
    expect(await resumeAbandoned(stateDir)).toMatchObject([{ outcome: 'failed' }])
    expect(await resumeAbandoned(join(stateDir, 'missing'))).toEqual([])
  })
})
