import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crashPrints, requireEra, requireVmlinux, unpackXenSave } from '@ullage/lab'
import { afterAll, expect, test } from 'vitest'
import { runUllage } from './run-ullage.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-crash-save-'))
afterAll(() => rmSync(folder, { recursive: true }))

test.each([
  ['xen-pvh-save', []],
  // crash asks a PV guest for the list of its machine frames.
  ['xen-pv-save', ['--pv-tables', 'crash']],
] as const)('crash opens our dump of the image %s and walks the stacks of both vCPUs', async (name, options) => {
  const save = await unpackXenSave(name)
  expect(requireEra('bookworm').release).toBe(save.uname)
  const vmlinux = requireVmlinux('bookworm')
  for (const level of ['31', '1']) {
    const dump = join(folder, `${name}-${level}.vmcore`)
    const args = ['dump', save.descriptor, '-o', dump, '--level', level, '--compress', 'zlib', ...options]
    expect((await runUllage(args, { stateDir: folder })).status).toBe(0)
    const printed = await crashPrints(vmlinux, dump, ['sys', 'ps', 'log', 'bt -a'])
    expect(printed).toMatch(/CPUS: 2\n/)
    expect(printed).toContain('RELEASE: 6.1.0-')
    expect(printed).toContain('[xen-balloon]')
    expect(printed).toMatch(/Freezing user space processes/)
    // The guest suspends itself on vCPU 0, while the other one waits for it.
    expect(printed).toMatch(/CPU: 0 +COMMAND: "migration\/0"[^]*xen_suspend[^]*multi_cpu_stop/)
    expect(printed).toMatch(/CPU: 1 +COMMAND: "migration\/1"[^]*multi_cpu_stop[^]*kthread/)
  }
})
