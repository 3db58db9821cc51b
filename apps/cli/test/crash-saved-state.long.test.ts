import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crashPrints, requireKeptVmlinux, unpackHypervFixture, writeFixtureSavedState } from '@ullage/lab'
import { afterAll, expect, test } from 'vitest'
import { runUllage } from './run-ullage.ts'

const COMMANDS = ['sys', 'ps', 'kmem -i', 'bt -a', 'log', 'mod', 'files', 'mount', 'net', 'dev', 'runq'] as const

const folder = mkdtempSync(join(tmpdir(), 'ullage-crash-saved-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function printed(descriptor: string, name: string, vmlinux: string): Promise<string> {
  const dump = join(folder, `${name}.vmcore`)
  const { status, stderr } = await runUllage(['dump', descriptor, '-o', dump], { stateDir: folder })
  expect(`${status} ${stderr}`).toMatch(/^0 /)
  const text = await crashPrints(vmlinux, dump, COMMANDS)
  return text
    .replace(/^\s*DUMPFILE:.*$/gm, 'DUMPFILE')
    .replace(/^\s*DATE:.*$/gm, 'DATE')
    .trimEnd()
}

test('crash prints for the dump of a saved state what it prints for that of the same guest in files', async () => {
  const fixture = await unpackHypervFixture()
  const vmlinux = requireKeptVmlinux(fixture.uname)
  const saved = writeFixtureSavedState(join(folder, 'web-1.vmrs'), fixture, 'pages')
  saved.memory[Symbol.dispose]()
  const descriptor = join(folder, 'web-1.json')
  writeFileSync(descriptor, JSON.stringify({ backend: 'hyperv', source: { kind: 'saved-state', file: 'web-1.vmrs' } }))
  const found = await printed(descriptor, 'saved', vmlinux)
  expect(found).toContain(fixture.uname)
  expect(found).toContain('hv_balloon')
  expect(found).toBe(await printed(fixture.descriptors.backing, 'files', vmlinux))
})
