import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { OfflineErrorCode } from '@ullage/offline-query'
import { openVirtioBalloon, type VirtioBalloonSource } from '@ullage/virtio-balloon'
import { afterAll, describe, expect, it } from 'vitest'

const MIB = 1 << 20
const folder = mkdtempSync('/tmp/ullage-bad-input-')
afterAll(() => rmSync(folder, { recursive: true, force: true }))
writeFileSync(join(folder, 'ram.raw'), Buffer.alloc(4 * MIB, 1))
writeFileSync(join(folder, 'text.json'), 'backing')
writeFileSync(join(folder, 'one.json'), '{"regions": [[[0, 4096]], []]}')
writeFileSync(join(folder, 'beyond.json'), JSON.stringify({ regions: [[[0, 8 * MIB]]] }))
writeFileSync(join(folder, 'unsorted.json'), '{"regions": [[[8192, 12288], [0, 4096]]]}')
writeFileSync(join(folder, 'deep.json'), `{"regions": [[${'['.repeat(4 * MIB)}`)
writeFileSync(join(folder, 'short.elf'), '\x7fELF')

const open = (source: VirtioBalloonSource) =>
  openVirtioBalloon(source, { baseDir: folder, stateDir: join(folder, 'state') })

const whole = { gpa: 0, size: 4 * MIB, file: 'ram.raw', offset: 0 }
const files = (regions: (typeof whole)[], rest: { backing?: string; notes?: string } = {}): VirtioBalloonSource => ({
  kind: 'files',
  regions,
  ...rest,
})
const qmp = (socket: string): VirtioBalloonSource => ({ kind: 'qmp', socket })

const refusals: [string, VirtioBalloonSource, OfflineErrorCode, RegExp][] = [
  ['no regions', files([]), 'INVALID', /at least one region/],
  ['a file that is not there', files([{ ...whole, file: 'none.raw' }]), 'INVALID', /none\.raw.*no such file/],
  ['a folder for a file', files([{ ...whole, file: '.' }]), 'INVALID', /not a regular file/],
  ['a truncated file', files([{ ...whole, size: 8 * MIB }]), 'INVALID', /ram\.raw, which has only 4194304 bytes/],
  ['a region outside its file', files([{ ...whole, offset: 4096 }]), 'INVALID', /ram\.raw, which has only/],
  ['regions that overlap', files([whole, { ...whole, gpa: 2 * MIB, size: 4096 }]), 'INVALID', /overlaps itself/],
  ['a region between two frames', files([{ ...whole, gpa: 16 }]), 'INVALID', /multiples of 4096/],
  ['an empty region', files([{ ...whole, size: 0 }]), 'INVALID', /empty/],
  ['a negative offset', files([{ ...whole, offset: -4096 }]), 'INVALID', /offset/],
  ['a size that is no number', files([{ ...whole, size: Number.NaN }]), 'INVALID', /size/],
  ['a backing map that is not there', files([whole], { backing: 'no.json' }), 'INVALID', /no\.json/],
  ['a backing map that is no JSON', files([whole], { backing: 'text.json' }), 'INVALID', /text\.json is not JSON/],
  [
    'a backing map of another guest',
    files([whole], { backing: 'one.json' }),
    'INVALID',
    /ranges of 1 regions, found.* 2/,
  ],
  ['a backing map beyond its file', files([whole], { backing: 'beyond.json' }), 'INVALID', /beyond the file's/],
  ['a backing map out of order', files([whole], { backing: 'unsorted.json' }), 'INVALID', /must ascend/],
  ['a backing map of lists in lists', files([whole], { backing: 'deep.json' }), 'INVALID', /8 lists deep at most/],
  ['notes that are not there', files([whole], { notes: 'no.elf' }), 'INVALID', /no\.elf/],
  ['notes that are no ELF', files([whole], { notes: 'ram.raw' }), 'INVALID', /expected an elf core.*ram\.raw, found/],
  [
    'notes that are cut off',
    files([whole], { notes: 'short.elf' }),
    'INVALID',
    /short\.elf, found: .* only 4 are left/,
  ],
  ['a socket that is not there', qmp('no.sock'), 'GUEST_NOT_FOUND', /no\.sock.*start qemu with -qmp/],
  ['a socket that nobody listens on', qmp('ram.raw'), 'GUEST_NOT_FOUND', /ram\.raw.*listens/],
]

describe('openVirtioBalloon', () => {
  it.each(refusals)('refuses %s', async (_name, source, code, message) => {
    const before = readdirSync('/proc/self/fd').length
    await expect(open(source)).rejects.toMatchObject({
      name: 'OfflineError',
      code,
      message: expect.stringMatching(message),
    })
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before)
  })

  it('opens nothing when aborted', async () => {
    for (const source of [files([whole]), qmp('no.sock')]) {
      const opening = openVirtioBalloon(source, {
        baseDir: folder,
        stateDir: join(folder, 'state'),
        signal: AbortSignal.abort(),
      })
      await expect(opening).rejects.toBeInstanceOf(Error)
    }
    await expect(
      openVirtioBalloon(files([whole]), { baseDir: folder, stateDir: folder, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('names the frame of a file that was truncated while it was open', async () => {
    writeFileSync(join(folder, 'cut.raw'), Buffer.alloc(4 * MIB, 1))
    await using guest = await open(files([{ ...whole, file: 'cut.raw', gpa: 16 * MIB }]))
    truncateSync(join(folder, 'cut.raw'), MIB)
    const first = (16 * MIB) / 4096
    guest.memory.read({ start: first, count: 256 }, new Uint8Array(MIB))
    expect(() => guest.memory.read({ start: first + 200, count: 100 }, new Uint8Array(100 * 4096))).toThrow(
      expect.objectContaining({ code: 'UNREADABLE', message: expect.stringContaining(`frame ${first + 256} `) }),
    )
    await expect(guest.hostMemory()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  it('says that another client holds the monitor', async () => {
    const server = createServer(() => undefined)
    await new Promise<void>((resolve) => void server.listen(join(folder, 'held.sock'), resolve))
    try {
      await expect(open(qmp('held.sock'))).rejects.toMatchObject({
        code: 'BUSY',
        message: expect.stringMatching(/another client holds this monitor; give Ullage a QMP socket of its own/),
      })
    } finally {
      server.close()
    }
  })

  it('refuses a guest that waits for a migration, and one that is not there any more', async () => {
    const socket = join(folder, 'incoming.sock')
    const qemu = startQemu(['-incoming', 'defer', '-qmp', `unix:${socket},server=on,wait=off`])
    try {
      await retried(async () => {
        await expect(open(qmp(socket))).rejects.toMatchObject({
          code: 'UNSUPPORTED',
          message: expect.stringMatching(/waits for an incoming migration/),
        })
      })
    } finally {
      await ended(qemu)
    }
    await expect(open(qmp(socket))).rejects.toMatchObject({ code: 'GUEST_NOT_FOUND' })
  })
})

function startQemu(args: readonly string[]): ChildProcess {
  const machine = ['-accel', 'tcg', '-machine', 'q35', '-m', '64', '-display', 'none', '-nodefaults']
  return spawn('qemu-system-x86_64', [...machine, ...args], { stdio: 'ignore' })
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}

/** Repeats `body` until it passes; QEMU needs a moment to listen. */
async function retried(body: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + 20_000
  for (;;) {
    try {
      await body()
      return
    } catch (error) {
      if (performance.now() > deadline) throw error
      await delay(50)
    }
  }
}
