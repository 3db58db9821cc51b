import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OfflineError, type BackingRun, type OpenGuest } from '@ullage/offline-query'
import { afterAll, beforeAll, expect } from 'vitest'
import { openDomainOn } from '../../src/live/open-domain.ts'
import { pauseRecordPath } from '../../src/live/pause-record.ts'
import type { DomainSource } from '../../src/xen-source.ts'
import type { FakeHost } from './fake-domains.ts'
import { pauseFile } from './pause-file.ts'

const guardianMain = new URL('./fake-guardian-main.ts', import.meta.url)

let stateDir: string
beforeAll(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'ullage-xen-domain-'))
})
afterAll(() => rmSync(stateDir, { recursive: true }))

/** Opens the domain of a scripted host, with the state folder of this test file. */
export function openFake(host: FakeHost, source: Partial<DomainSource> = {}): Promise<OpenGuest> {
  // Where the guardian finds it too.
  host.hypervisor.pauses = pauseFile(`${pauseRecordPath(stateDir, host.domain.info.handle)}.count`)
  return openDomainOn(
    { ...host, guardianMain },
    { kind: 'domain', domain: 'web-1', ...source },
    { baseDir: '/', stateDir },
  )
}

/** States of the frames that the RAM of scripted domains may have. */
export async function statesOf(guest: OpenGuest, skip: { start: number; count: number }[] = []): Promise<BackingRun[]> {
  const runs: BackingRun[] = []
  for await (const run of guest.backing.backing({ within: { start: 0, count: 5000 }, skip })) runs.push(run)
  return runs
}

/** The error that `action` rejects with. */
export async function refusal(action: Promise<unknown>): Promise<OfflineError> {
  const error = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(OfflineError)
  return error as OfflineError
}

/** The error of reading frames. */
export function readRefusal({ memory }: OpenGuest, start: number, count: number): Promise<OfflineError> {
  return refusal(Promise.resolve().then(() => memory.read({ start, count }, new Uint8Array(count * 4096))))
}
