import { closeSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, describe, expect, it } from 'vitest'
import { lockPath } from './lock-path.ts'
import { isRunning, ownIdentity, processIdentity } from './process-identity.ts'
import { listRecords, readRecord, writeRecord } from './record-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-records-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('a record', () => {
  it('is written whole, over what a dead writer left, and found by its name', () => {
    const path = join(folder, 'deep', 'a.record.json')
    expect(readRecord(path)).toBeUndefined()
    expect(listRecords(join(folder, 'deep'), '.record.json')).toEqual([])
    writeRecord(path, { a: 1 })
    writeFileSync(`${path}.partial`, 'half of a rec')
    writeRecord(path, { a: 2 })
    expect(readRecord(path)).toBe('{"a":2}\n')
    expect(listRecords(join(folder, 'deep'), '.record.json')).toEqual([path])
    expect(readdirSync(join(folder, 'deep'))).toEqual(['a.record.json'])
  })
})

describe('lockPath', () => {
  it('locks once, and again when it was given back', () => {
    const path = join(folder, 'a.lock')
    const fd = lockPath(path)
    expect(lockPath(path)).toBeUndefined()
    expect(readRecord(path)).toBe(`${process.pid}\n`)
    closeSync(fd as number)
    closeSync(lockPath(path) as number)
  })
})

describe('a process', () => {
  it('is told apart from one that has ended and from a later one with its number', async () => {
    expect(isRunning(ownIdentity())).toBe(true)
    expect(isRunning({ ...ownIdentity(), startTicks: 1 })).toBe(false)
    const child = spawn('sleep', ['60'])
    await once(child, 'spawn')
    const identity = processIdentity(child.pid as number)
    expect(identity && isRunning(identity)).toBe(true)
    child.kill('SIGKILL')
    await once(child, 'close')
    expect(identity && isRunning(identity)).toBe(false)
    expect(processIdentity(child.pid as number)).toBeUndefined()
  })
})
