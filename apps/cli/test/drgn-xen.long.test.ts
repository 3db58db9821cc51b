import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drgn, requireEra, requireVmlinux, unpackXenFixture, unpackXenSave, type XenGuestFiles } from '@ullage/lab'
import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { runUllage } from './run-ullage.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-drgn-xen-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What drgn finds: the release, names of all tasks, the log, and the third word of each page that the process filled. */
const SCRIPT = `
import json, struct, sys
import drgn
from drgn.helpers.linux import access_process_vm, for_each_task, get_dmesg
dump, vmlinux, addresses = sys.argv[1:4]
prog = drgn.Program()
prog.set_core_dump(dump)
prog.load_debug_info([vmlinux])
tasks = {task.comm.string_().decode(): task for task in for_each_task(prog)}
words = []
for address in addresses.split(',') if addresses else []:
    words.append(struct.unpack('<3Q', access_process_vm(tasks['truth'], int(address, 16), 24))[1:])
print(json.dumps({
    'release': prog['init_uts_ns'].name.release.string_().decode(),
    'tasks': sorted(tasks),
    'total': prog['_totalram_pages'].counter.value_(),
    'log': get_dmesg(prog).decode(),
    'words': words,
}))
`
const Found = z.object({
  release: z.string(),
  tasks: z.array(z.string()),
  total: z.number(),
  log: z.string(),
  words: z.array(z.tuple([z.number(), z.number()])),
})

async function dump(guest: XenGuestFiles, name: string, ...args: string[]): Promise<string> {
  expect(requireEra('bookworm').release).toBe(guest.uname)
  const path = join(folder, name)
  const { status, stderr } = await runUllage(['dump', guest.descriptor, '-o', path, ...args], { stateDir: folder })
  expect(`${status} ${stderr}`).toBe('0 ')
  return path
}

async function ask(path: string, addresses: readonly string[] = []): Promise<z.infer<typeof Found>> {
  const { status, stdout, stderr } = await drgn(SCRIPT, [path, requireVmlinux('bookworm'), addresses.join(',')])
  expect(`${status} ${stderr}`).toMatch(/^0 /)
  return Found.parse(JSON.parse(stdout))
}

function patternOf(guest: XenGuestFiles): { address: string; words: [number, number] }[] {
  const lines = readFileSync(join(guest.dir, 'pattern.tsv'), 'utf8').trim().split('\n')
  return lines.map((line) => {
    const [index = '', address = '', pfn = ''] = line.split(/\s+/)
    return { address, words: [Number(index), Number.parseInt(pfn, 16)] }
  })
}

describe.each(['rewrite', 'crash'])('drgn on a ballooned PV guest, --pv-tables %s', (mode) => {
  test('level 31: what the guest said of itself', async () => {
    const fixture = await unpackXenFixture('xen-pv')
    const found = await ask(await dump(fixture, `${mode}-31.vmcore`, '--pv-tables', mode))
    expect(found.release).toBe(fixture.uname)
    expect(found.tasks).toEqual(expect.arrayContaining(['init', 'truth', 'xen-balloon', 'kswapd0']))
    expect(found.total).toBe(75800 / 4)
    expect(found.log.trim()).toBe(readFileSync(join(fixture.dir, 'dmesg.txt'), 'utf8').trim())
  })

  test('level 1: all pages that a process filled, by its page tables', async () => {
    const fixture = await unpackXenFixture('xen-pv')
    const pattern = patternOf(fixture)
    expect(pattern).toHaveLength(1024)
    const path = await dump(fixture, `${mode}-1.vmcore`, '--pv-tables', mode, '--level', '1')
    const { words } = await ask(
      path,
      pattern.map(({ address }) => address),
    )
    expect(words).toEqual(pattern.map((page) => page.words))
  })
})

test('an image of xl save holds the guest’s own frames: drgn opens its dump with tables as they are', async () => {
  const guest = await unpackXenSave('xen-pv-save')
  const pattern = patternOf(guest)
  const { words, release } = await ask(
    await dump(guest, 'save.vmcore', '--level', '1'),
    pattern.map(({ address }) => address),
  )
  expect(release).toBe(guest.uname)
  expect(words).toEqual(pattern.map((page) => page.words))
})

test('tables as they are: drgn has no machine frames and says so', async () => {
  const path = await dump(await unpackXenFixture('xen-pv'), 'keep.vmcore')
  const { status, stderr } = await drgn(SCRIPT, [path, requireVmlinux('bookworm'), ''])
  expect(status).not.toBe(0)
  expect(stderr).toMatch(/FaultError|could not|LookupError/)
})
