import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { GuestRam, openHostProcess, openProcessRam } from '../src/index.ts'

const MIB = 2 ** 20
const sizeBytes = 64 * MIB
const folder = mkdtempSync('/dev/shm/ullage-qemu-ram-')
const outputs = mkdtempSync(join(tmpdir(), 'ullage-qemu-ram-'))
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
  rmSync(outputs, { recursive: true, force: true })
})

/** A QEMU that runs its firmware, with the human monitor on stdin and stdout. */
class Qemu implements AsyncDisposable {
  readonly pid: number
  readonly #child: ChildProcess
  #text = ''

  constructor(backend: string) {
    this.#child = spawn(
      'qemu-system-x86_64',
      [
        '-nodefaults',
        '-display',
        'none',
        '-machine',
        'q35,memory-backend=ram0',
        '-m',
        '64M',
        '-monitor',
        'stdio',
      ].concat(['-accel', 'tcg', '-object', `${backend},id=ram0,size=64M`]),
      { stdio: ['pipe', 'pipe', 'inherit'] },
    )
    if (this.#child.pid === undefined) throw new Error('qemu-system-x86_64 did not start')
    this.pid = this.#child.pid
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString()
    })
  }

  /** Gives a command, waits for the next prompt and returns what the monitor has said. */
  async ask(command: string): Promise<string> {
    await this.#prompt()
    this.#text = ''
    this.#child.stdin?.write(`${command}\n`)
    return this.#prompt()
  }

  async #prompt(): Promise<string> {
    const deadline = Date.now() + 20_000
    while (!this.#text.endsWith('\n(qemu) ')) {
      if (Date.now() > deadline || this.#child.exitCode !== null) throw new Error(`QEMU has only said: ${this.#text}`)
      await setTimeout(5)
    }
    return this.#text
  }

  /** Lets the firmware run until it has found that there is nothing to boot and waits for an interrupt. */
  async runFirmware(): Promise<void> {
    const deadline = Date.now() + 20_000
    while (!(await this.ask('info registers')).includes('HLT=1')) {
      if (Date.now() > deadline) throw new Error('the firmware did not come to an end in 20 s')
    }
    await this.ask('stop')
    if (!(await this.ask('info status')).includes('paused')) throw new Error('QEMU does not stop')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

/** What the process has of [address, address + sizeBytes) in its page tables, in KiB: `{ Rss, Anonymous, Swap }` summed. */
function residentKib(pid: number, address: number): Record<string, number> {
  const sums: Record<string, number> = { Rss: 0, Anonymous: 0, Swap: 0 }
  let inside = false
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const [, area] = /^([0-9a-f]+)-[0-9a-f]+ /.exec(line) ?? []
    if (area !== undefined) {
      const start = Number.parseInt(area, 16)
      inside = address <= start && start < address + sizeBytes
    }
    const [, field = '', kib] = /^(\w+):\s+(\d+) kB$/.exec(line) ?? []
    if (inside && field in sums) sums[field] = (sums[field] ?? 0) + Number(kib)
  }
  return sums
}

test.each([
  ['sharedFile', `memory-backend-file,share=on,mem-path=${folder}/shared`],
  ['sharedFile', 'memory-backend-memfd,share=on'],
  ['sharedFile', 'memory-backend-ram,share=on'],
  ['privateFile', `memory-backend-file,share=off,mem-path=${folder}/private`],
  ['privateFile', 'memory-backend-memfd,share=off'],
  ['anonymous', 'memory-backend-ram'],
])('%s: QEMU has the same in %s as we read, and no more of it afterwards', async (kind, backend) => {
  await using qemu = new Qemu(backend)
  await qemu.runFirmware()
  const [, hex] = /Host virtual address for 0x0 \(\S+\) is (0x[0-9a-f]+)/.exec(await qemu.ask('gpa2hva 0')) ?? []
  const address = Number(hex)
  using process = openHostProcess(qemu.pid)
  const source = openProcessRam(process, { addressBytes: address, sizeBytes })
  using ram = new GuestRam([{ name: 'ram0', gpaBytes: 0, sizeBytes, source, sourceOffsetBytes: 0 }])
  expect(source.kind).toBe(kind)

  const before = { figures: ram.figures(), resident: residentKib(qemu.pid, address) }
  const ours = Buffer.alloc(sizeBytes, 0xee)
  ram.read({ start: 0, count: sizeBytes / 4096 }, ours)
  const runs = [...ram.backing({ start: 0, count: sizeBytes / 4096 })]
  expect(before.resident['Rss']).toBeGreaterThan(100)
  expect({ figures: ram.figures(), resident: residentKib(qemu.pid, address) }).toEqual(before)
  // The firmware has written some of it and by far not all, and what is unbacked is zeros.
  const backed = runs.filter((run) => run.state === 'backed').reduce((sum, run) => sum + run.count, 0)
  expect(backed).toBeGreaterThan(20)
  expect(backed).toBeLessThan(sizeBytes / 4096 / 2)
  for (const run of runs.filter((each) => each.state === 'unbacked')) {
    const bytes = ours.subarray(run.start * 4096, (run.start + run.count) * 4096)
    expect(bytes.equals(Buffer.alloc(bytes.length))).toBe(true)
  }

  // QEMU's own word, last, for its reading fills the holes of shared memory. Below 1 MiB it shows ROM and VGA instead.
  const file = join(outputs, 'theirs')
  await qemu.ask(`pmemsave ${MIB} ${sizeBytes - MIB} "${file}"`)
  expect(readFileSync(file).equals(ours.subarray(MIB))).toBe(true)
  expect(ours.subarray(MIB).equals(Buffer.alloc(sizeBytes - MIB))).toBe(false)
})
