import { execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  ftruncateSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Keyring, readKeyFile, startDelivery } from '@ullage/artifact-store'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CallResult, runUllage } from './run-ullage.ts'

const MiB = 1 << 20
const folder = mkdtempSync(join(tmpdir(), 'ullage-bad-input-'))
const stateDir = join(folder, 'state')

beforeAll(() => {
  const file = openSync(join(folder, 'ram.raw'), 'w')
  ftruncateSync(file, 4 * MiB)
  writeSync(file, randomBytes(MiB), 0, MiB, MiB)
  closeSync(file)
  mkdirSync(join(folder, 'a-folder'))
  writeFileSync(join(folder, 'existing.vmcore'), 'precious')
})
afterAll(() => rmSync(folder, { recursive: true }))

function descriptor(name: string, content: unknown): string {
  const path = join(folder, `${name}.json`)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

function files(name: string, regions: unknown, rest: object = {}): string {
  return descriptor(name, { backend: 'virtio-balloon', source: { kind: 'files', regions, ...rest } })
}

const whole = { gpa: '0x0', size: '0x400000', file: 'ram.raw' }

/** A call that fails says why in one line or two, with no stack trace, and leaves nothing behind. */
function expectRefusal(result: CallResult, status: number, message: RegExp): void {
  expect(result.stderr).toMatch(message)
  expect(result.stderr).not.toMatch(/\n\s+at /)
  expect(result.status).toBe(status)
  expect(result.stdout).toBe('')
  expect(readdirSync(folder).filter((name) => name.includes('partial') || name === 'out.vmcore')).toEqual([])
}

const run = (...args: string[]) => runUllage(args, { stateDir })
const dump = (guest: string, ...args: string[]) => run('dump', guest, '-o', join(folder, 'out.vmcore'), ...args)

describe('a wrong call', () => {
  test.each([
    ['no command', [], /which command/],
    ['an unknown command', ['dmup'], /expected a command, found "dmup"/],
    ['an unknown option', ['dump', 'x.json', '-o', 'y', '--lvel', '31'], /--lvel/],
    ['no guest', ['dump', '-o', 'y'], /expected GUEST, found nothing/],
    ['two guests', ['dump', 'a', 'b', '-o', 'y'], /expected GUEST, found a b/],
    ['no output', ['dump', 'a.json'], /-o FILE is needed/],
    [
      'a level out of range',
      ['dump', 'a.json', '-o', 'y', '--level', '32'],
      /--level: expected an integer from 0 to 31/,
    ],
    ['a level that is no number', ['dump', 'a.json', '-o', 'y', '--level', '1e1'], /--level: expected an integer/],
    ['an unknown codec', ['dump', 'a.json', '-o', 'y', '--compress', 'gzip'], /--compress: expected zstd\|lzo/],
    ['an unknown format', ['dump', 'a.json', '-o', 'y', '--format', 'raw'], /--format: expected kdump\|flattened\|elf/],
    ['an unknown trust', ['dump', 'a.json', '-o', 'y', '--trust', 'me'], /--trust: expected guest\|both\|host/],
    ['no jobs', ['dump', 'a.json', '-o', 'y', '--jobs', '0'], /--jobs: expected an integer from 1/],
    ['no jobs to verify with', ['verify', 'y', '--jobs', '0'], /--jobs: expected an integer from 1/],
    ['two forms of output', ['pages', 'a.json', '--json', '--runs'], /exclude each other/],
    ['verify of nothing', ['verify', '/nonexistent/file'], /\/nonexistent\/file/],
  ])('%s ends with status 2', async (_, args, message) => {
    expectRefusal(await run(...args), 2, message)
  })
})

describe('a wrong descriptor', () => {
  test.each<[string, () => string, RegExp]>([
    ['is not there', () => join(folder, 'absent.json'), /absent\.json: there is no such file/],
    ['is no JSON', () => descriptor('text', 'backend: xen'), /expected JSON/],
    ['has a misspelt key', () => files('misspelt', [whole], { backings: 'x.json' }), /source.*"backings"/],
    ['names a file that is not there', () => files('nofile', [{ ...whole, file: 'none.raw' }]), /none\.raw/],
    ['names a truncated file', () => files('short', [{ ...whole, size: '0x800000' }]), /8388608\).*ram\.raw.*4194304/],
    [
      'has regions that overlap',
      () => files('overlap', [whole, { ...whole, gpa: '0x3ff000', size: '0x1000' }]),
      /overlap/,
    ],
    ['has a region outside its file', () => files('outside', [{ ...whole, offset: '0x1000' }]), /ram\.raw/],
    ['has a region between two frames', () => files('odd', [{ ...whole, gpa: '0x10' }]), /4096|frame|multiple/],
    ['names a backing map that is not there', () => files('nobacking', [whole], { backing: 'no.json' }), /no\.json/],
    ['names notes that are none', () => files('badnotes', [whole], { notes: 'ram.raw' }), /ram\.raw/],
  ])('that %s ends with status 2', async (_, make, message) => {
    expectRefusal(await dump(make()), 2, message)
  })
})

test.each(['dump', 'pages', 'verify', 'inspect'])('a FIFO is not waited for by %s', async (command) => {
  const fifo = join(folder, `fifo-${command}`)
  execFileSync('mkfifo', [fifo])
  const output = command === 'dump' ? ['-o', join(folder, 'out.vmcore')] : []
  expectRefusal(await run(command, fifo, ...output), 2, /no(t a)? regular file/)
})

test('a descriptor that does not end is refused', async () => {
  expectRefusal(await run('pages', '/dev/zero'), 2, /no regular file/)
  writeFileSync(join(folder, 'large.json'), ' '.repeat(2 * MiB))
  expectRefusal(await run('pages', join(folder, 'large.json')), 2, /at most 1048576/)
})

describe('an output', () => {
  test('that exists is not overwritten', async () => {
    const result = await run('dump', files('g1', [whole]), '-o', join(folder, 'existing.vmcore'))
    expectRefusal(result, 2, /existing\.vmcore exists; nothing is overwritten/)
  })

  test('that is a folder is refused', async () => {
    expectRefusal(await run('dump', files('g2', [whole]), '-o', join(folder, 'a-folder')), 2, /is a folder/)
  })

  test('in a folder that is not there is refused', async () => {
    expectRefusal(await run('dump', files('g3', [whole]), '-o', join(folder, 'no', 'x')), 2, /no is not there/)
  })

  test('whose name is too long for a file is refused', async () => {
    const result = await run('dump', files('g8', [whole]), '-o', join(folder, 'x'.repeat(250)))
    expectRefusal(result, 2, /cannot write.*ENAMETOOLONG/)
  })

  test('whose report exists is refused before anything is written', async () => {
    writeFileSync(join(folder, 'taken.json'), '{}')
    const result = await dump(files('g4', [whole]), '--report', join(folder, 'taken.json'))
    expectRefusal(result, 2, /taken\.json exists/)
  })

  test('without space fails with status 1 and leaves nothing', async () => {
    const small = join(folder, 'small')
    mkdirSync(small)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', small])
    try {
      for (const compress of ['none', 'zstd']) {
        const result = await run('dump', files('g5', [whole]), '-o', join(small, 'out.vmcore'), '--compress', compress)
        expectRefusal(result, 1, /out\.vmcore.*(space|free)|no space/)
        expect(readdirSync(small)).toEqual([])
      }
    } finally {
      execFileSync('umount', [small])
    }
  })
})

describe('decrypt', () => {
  const keyFile = join(folder, 'decrypt-key')
  const sealed = join(folder, 'sealed.vmcore')
  beforeAll(async () => {
    writeFileSync(keyFile, randomBytes(32), { mode: 0o600 })
    writeFileSync(join(folder, 'plain.vmcore'), 'of a guest')
    execFileSync('mkfifo', [join(folder, 'fifo.vmcore')])
    const sealing = await new Keyring([readKeyFile(keyFile)]).newSealing(randomUUID())
    if (!sealing) throw new Error('nothing is encrypted with this key')
    await using delivery = await startDelivery({ kind: 'seal', path: sealed, sealing })
    await delivery.finish(join(folder, 'plain.vmcore'))
  })

  test.each([
    ['a file that is not there', 'absent.vmcore', 'out.vmcore', /absent\.vmcore cannot be read: there is no such file/],
    ['a file in what is no folder', 'ram.raw/x', 'out.vmcore', /ram\.raw\/x cannot be read: there is no such file/],
    ['a folder', 'a-folder', 'out.vmcore', /a-folder is no regular file/],
    ['a FIFO', 'fifo.vmcore', 'out.vmcore', /fifo\.vmcore is no regular file/],
    ['an output in a folder that is not there', 'sealed.vmcore', 'no/x', /no\/x cannot be written: the folder .*no is/],
    ['an output in what is no folder', 'sealed.vmcore', 'ram.raw/x', /x cannot be written: .*ram\.raw is no folder/],
    ['an output that exists', 'sealed.vmcore', 'existing.vmcore', /existing\.vmcore exists; nothing is overwritten/],
  ])('%s ends with status 2', async (_, from, to, message) => {
    expectRefusal(await run('decrypt', join(folder, from), '-o', join(folder, to), '--key-file', keyFile), 2, message)
  })
})

describe('a monitor', () => {
  const qmp = (name: string, socket: string) =>
    descriptor(name, { backend: 'virtio-balloon', source: { kind: 'qmp', socket } })

  test('that is not there is said to be so', async () => {
    expectRefusal(await dump(qmp('nosocket', join(folder, 'no.sock'))), 2, /no\.sock/)
  })

  test('that is a plain file is said to be so', async () => {
    expectRefusal(await dump(qmp('file', join(folder, 'ram.raw'))), 2, /ram\.raw/)
  })

  test('that another client holds is told apart: no greeting in two seconds', async () => {
    const socket = join(folder, 'held.sock')
    const server = createServer(() => {})
    await new Promise<void>((resolve) => {
      server.listen(socket, resolve)
    })
    const result = await dump(qmp('held', socket))
    server.close()
    expectRefusal(result, 1, /another client/)
  })
})

test('memory without any VMCOREINFO is dumped by the host alone, and the report says why', async () => {
  const report = join(folder, 'report.json')
  const result = await run('dump', files('g6', [whole]), '-o', join(folder, 'hostonly.vmcore'), '--report', report)
  expect(result.stderr).toMatch(/VMCOREINFO/)
  expect(result.status).toBe(0)
  const verified = await run('verify', join(folder, 'hostonly.vmcore'), '--jobs', '2')
  expect(verified.status).toBe(0)
  rmSync(join(folder, 'hostonly.vmcore'))
  rmSync(report)
})

test('a vmcore with one byte changed is not good', async () => {
  const path = join(folder, 'flip.vmcore')
  expect((await run('dump', files('g7', [whole]), '-o', path)).status).toBe(0)
  const file = openSync(path, 'r+')
  const bytes = Buffer.alloc(1)
  writeSync(file, bytes, 0, 1, 0)
  closeSync(file)
  const result = await run('verify', path)
  expect(result.status).not.toBe(0)
  expect(result.stderr).not.toMatch(/\n\s+at /)
})
