import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DumpReport } from '@ullage/dump'
import { unpackXenFixture } from '@ullage/lab'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runUllage } from './run-ullage.ts'

const states = mkdtempSync(join(tmpdir(), 'ullage-dry-run-state-'))
afterAll(() => rmSync(states, { recursive: true }))

let folder: string
let descriptor: string
beforeAll(async () => {
  descriptor = (await unpackXenFixture('xen-pv')).descriptor
})
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-dry-run-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const dryRun = (...args: string[]) =>
  runUllage(['dump', descriptor, '--dry-run', ...args], { cwd: folder, stateDir: states })

function reportIn(file: string): DumpReport {
  return JSON.parse(readFileSync(join(folder, file), 'utf8')) as DumpReport
}

describe('dump --dry-run', () => {
  test('with -o writes the report where a dump would, and no artifact', async () => {
    const { status, stdout } = await dryRun('-o', 'web-1.vmcore')
    expect(status).toBe(0)
    expect(readdirSync(folder)).toEqual(['web-1.vmcore.report.json'])
    const report = reportIn('web-1.vmcore.report.json')
    expect(report).toEqual(JSON.parse(stdout))
    expect(report).toMatchObject({ schema: 'ullage.report/1', frames: { total: 65_536 } })
    expect(report.artifact).toBeUndefined()
    expect(report.estimate?.atMostBytes).toBeGreaterThan(report.estimate?.atLeastBytes ?? 0)
  })

  test('with --report writes it there, with -o or without', async () => {
    expect(await dryRun('--report', 'plan.json')).toMatchObject({ status: 0 })
    expect(await dryRun('-o', 'web-1.vmcore', '--report', 'other.json', '--level', '1')).toMatchObject({ status: 0 })
    expect(readdirSync(folder).sort()).toEqual(['other.json', 'plan.json'])
    expect(reportIn('other.json').frames.byFate.write).toBeGreaterThan(reportIn('plan.json').frames.byFate.write)
  })

  test('with neither only prints it', async () => {
    const { status, stdout } = await dryRun()
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ schema: 'ullage.report/1' })
    expect(readdirSync(folder)).toEqual([])
  })

  test('overwrites no report, and needs a folder that is there', async () => {
    writeFileSync(join(folder, 'plan.json'), 'mine')
    const exists = await dryRun('--report', 'plan.json')
    expect(exists.status).not.toBe(0)
    expect(exists.stderr).toMatch(/plan\.json exists/)
    expect(readFileSync(join(folder, 'plan.json'), 'utf8')).toBe('mine')
    const nowhere = await dryRun('-o', 'none/web-1.vmcore')
    expect(nowhere.status).not.toBe(0)
    expect(nowhere.stderr).toMatch(/existing folder/)
    expect(existsSync(join(folder, 'none'))).toBe(false)
  })
})
