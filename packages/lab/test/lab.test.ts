import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { LabGuest } from '@ullage/lab'
import { bootGuest, crash, ERA_NAMES, framesWithFlag, KPF, LabError, makedumpfile, startRedis } from '@ullage/lab'

const MIB = 1024 * 1024

describe.each(ERA_NAMES)('a guest of %s', (era) => {
  test('boots, tells the truth and leaves nothing behind', async () => {
    let guest: LabGuest | undefined
    const seen = { pid: 0, paths: [''] }
    {
      await using booted = await bootGuest({ era, balloonMiB: 96 })
      guest = booted
      seen.pid = booted.pid
      seen.paths = [booted.folder, ...booted.ramFiles]

      const truth = await booted.truth()
      expect(truth.uname).toBe(booted.era.release)
      expect(truth.kpageflags).toHaveLength((256 * MIB) / 4096)
      expect(framesWithFlag(truth.kpageflags, KPF.offline)).toHaveLength((96 * MIB) / 4096)
      expect(framesWithFlag(truth.kpageflags, KPF.buddy).length).toBeGreaterThan(0)
      expect(truth.vmcoreinfoText).toContain(`OSRELEASE=${truth.uname}\n`)
      expect(truth.vmcoreinfoAddress).toBeGreaterThan(0n)
      expect(truth.symbols.get('init_uts_ns')).toBeGreaterThan(0xffffffff80000000n)
      expect(truth.dmesg).toContain('Linux version')
      expect(booted.consoleText()).not.toContain('insmod')

      const uptime = async (): Promise<number> => Number((await booted.exec('cat /proc/uptime')).split(' ')[0])
      const before = await uptime()
      expect(await uptime()).toBeGreaterThan(before)
      await expect(booted.exec('echo to no avail; exit 7')).rejects.toThrow('status 7:\nto no avail')
      expect(await booted.exec('echo still here')).toBe('still here\n')

      await booted.stop()
      expect(await booted.status()).toBe('paused')
      const [ram] = booted.backedRanges()
      const dataBytes = ram?.ranges.reduce((sum, { startByte, endByte }) => sum + endByte - startByte, 0) ?? 0
      expect(dataBytes).toBeLessThanOrEqual(160 * MIB)
      expect(dataBytes).toBe(ram?.allocatedBytes)
      await booted.cont()
      expect(await booted.status()).toBe('running')
      await booted.balloon(256)
      expect(framesWithFlag((await booted.truth()).kpageflags, KPF.offline)).toHaveLength(0)
    }
    expect(isAlive(seen.pid)).toBe(false)
    expect(seen.paths.filter((path) => existsSync(path))).toEqual([])
    await expect(guest.exec('true')).rejects.toThrow(LabError)
  })
})

describe('a guest', () => {
  test('has its QMP socket free for others', async () => {
    await using guest = await bootGuest({ era: 'bookworm' })
    const socket = connect(guest.qmpSocket)
    const [greeting] = await once(socket.setEncoding('utf8'), 'data')
    socket.destroy()
    expect(String(greeting)).toContain('"QMP"')
    expect(await guest.status()).toBe('running')
  })

  test('has memory of each kind, and virtio-mem beside it', async () => {
    const described: Record<string, number> = {}
    for (const memory of ['unlinked', 'memfd', 'file-private', 'anonymous'] as const) {
      await using guest = await bootGuest({ era: 'trixie', memory, virtioMem: { sizeMiB: 256, requestedMiB: 128 } })
      expect(guest.ramFiles.map((file) => statSync(file).size)).toEqual(guest.ramFiles.map(() => 256 * MIB))
      expect(await guest.hmp('info mtree -f')).toMatch(/ram0[\s\S]*vm0|vm0[\s\S]*ram0/)
      described[memory] = guest.ramFiles.length
    }
    expect(described).toEqual({ unlinked: 2, memfd: 2, 'file-private': 0, anonymous: 0 })
  })

  test('may have its memory split at 4 GiB', async () => {
    await using guest = await bootGuest({ era: 'bookworm', maxRamBelow4gMiB: 128 })
    const truth = await guest.truth()
    expect(truth.iomem).toMatch(/^1[0-9a-f]{8}-[0-9a-f]+ : System RAM/m)
    expect(truth.kpageflags.length).toBeGreaterThan((4096 * MIB) / 4096)
  })

  test('has page tables of five levels or of four', async () => {
    const levels: string[] = []
    for (const cpu of ['max', 'qemu64'] as const) {
      await using guest = await bootGuest({ era: 'bookworm', cpu })
      const { vmcoreinfoText = '' } = await guest.truth()
      levels.push(/^NUMBER\(pgtable_l5_enabled\)=(\d)$/m.exec(vmcoreinfoText)?.[1] ?? 'none')
    }
    expect(levels).toEqual(['1', '0'])
  })

  test('that does not boot says why', async () => {
    const boot = bootGuest({ era: 'bookworm', append: 'rdinit=/nothing-there' })
    await expect(boot).rejects.toThrow(/bookworm guest .* did not boot: .*QEMU[\s\S]*Kernel panic/)
  })

  test('and Redis die with the process that started them, and their files go', async () => {
    const script = fileURLToPath(new URL('start-and-wait.ts', import.meta.url))
    const child = spawn(process.execPath, ['--conditions=@ullage/source', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(child, 'exit').then(() => [''])
    const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended])
    expect(line, 'the process that is to be killed did not get there').not.toBe('')
    const { pids, paths }: { pids: number[]; paths: string[] } = JSON.parse(String(line))
    expect(pids.map(isAlive)).toEqual([true, true])
    expect(paths.filter((path) => !existsSync(path))).toEqual([])
    child.kill('SIGKILL')
    await expect.poll(() => pids.filter(isAlive), { timeout: 10_000 }).toEqual([])
    await expect.poll(() => paths.filter((path) => existsSync(path)), { timeout: 10_000 }).toEqual([])
  })
})

describe('redis', () => {
  test('answers on its own socket, appends to a file, and goes', async () => {
    const redis = await startRedis()
    const socket = connect(redis.socketPath)
    socket.write('SET answer 42\r\nGET answer\r\n')
    let reply = ''
    socket.setEncoding('utf8').on('data', (text: string) => {
      reply += text
    })
    await expect.poll(() => reply).toContain('$2\r\n42\r\n')
    expect(existsSync(`${redis.folder}/appendonlydir`)).toBe(true)
    await redis[Symbol.asyncDispose]()
    expect(isAlive(redis.pid)).toBe(false)
    expect(existsSync(redis.folder)).toBe(false)
  })
})

describe.each(['machine', 'newest'] as const)('the %s readers', (version) => {
  test('start', async () => {
    const crashed = await crash(['--version'], { version })
    expect(crashed.stdout).toContain('GNU gdb')
    expect((await makedumpfile(['-v'], { version })).stdout).toMatch(/version \d/)
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
