import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DumpReport } from '@ullage/dump'
import { framesWithFlag, type GuestTruth, KPF, type LabGuest } from '@ullage/lab'
import { expect } from 'vitest'
import { runUllage } from './run-ullage.ts'

export const MiB = 1 << 20
export const BALLOON_MIB = 96

/** Frames of the guest's page size that its kernel calls offline. */
export function offlineFrames({ kpageflags }: GuestTruth): number {
  return framesWithFlag(kpageflags, KPF.offline).length
}

/** Dumps a live guest into `path` and returns the report. Nothing may be written to stderr. */
export async function dumpArm64(guest: LabGuest, path: string, ...args: string[]): Promise<DumpReport> {
  const folder = mkdtempSync(join(guest.folder, 'dump-'))
  const descriptor = join(folder, 'guest.json')
  writeFileSync(
    descriptor,
    JSON.stringify({ backend: 'virtio-balloon', source: { kind: 'qmp', socket: guest.qmpSocket } }),
  )
  const { status, stderr } = await runUllage(['dump', descriptor, '-o', path, ...args], { stateDir: folder })
  expect(`${status} ${stderr}`).toBe('0 ')
  return JSON.parse(readFileSync(`${path}.report.json`, 'utf8')) as DumpReport
}
