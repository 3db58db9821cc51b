import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readStoreConfig } from '@ullage/artifact-store'
import { afterAll, expect, test, vi } from 'vitest'
import { warnOfSmallDisks } from './small-disks.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-small-'))
const keyFile = join(folder, 'key')
writeFileSync(keyFile, randomBytes(32), { mode: 0o600 })
afterAll(() => rmSync(folder, { recursive: true }))

/** More than any disk has. */
const TOO_MUCH = 2 ** 60

async function warned(env: Record<string, string>, keepFreeBytes: number): Promise<unknown[]> {
  const warn = vi.fn<(about: { folder: string }, text: string) => void>()
  const store = readStoreConfig({ ULLAGE_ARTIFACTS_DIR: folder, ...env })
  await warnOfSmallDisks({ store, spoolDir: tmpdir(), keepFreeBytes }, { warn } as never)
  return warn.mock.calls.map(([about, text]) => [
    about.folder,
    /no dump can be written there: .*ULLAGE_FREE_BYTES/.test(text),
  ])
}

test('a disk that is smaller than what is to stay free on it is told, the spool only where dumps go there', async () => {
  expect(await warned({}, TOO_MUCH)).toEqual([[folder, true]])
  expect(await warned({ ULLAGE_KEY_FILE: keyFile }, TOO_MUCH)).toEqual([
    [folder, true],
    [tmpdir(), true],
  ])
  expect(await warned({ ULLAGE_KEY_FILE: keyFile }, 0)).toEqual([])
})
