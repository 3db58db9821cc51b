import { readdirSync, readlinkSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import {
  cpuNotes,
  flatView,
  guestRam,
  hostAddress,
  memoryBackends,
  qemuProcess,
  QmpClient,
  refuseUnsuitable,
  virtioMemDevices,
} from '@ullage/qemu'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FirmwareGuest, startFirmwareGuest } from './firmware-guest.ts'
import { withServer } from './monitor-double.ts'

describe('a real QEMU', () => {
  let guest: FirmwareGuest
  let client: QmpClient

  beforeAll(async () => {
    const backend = 'memory-backend-memfd,id=vm0,size=256M,share=on'
    const device = 'virtio-mem-pci,memdev=vm0,requested-size=32M'
    guest = await startFirmwareGuest(['-m', '64,maxmem=2G', '-object', backend, '-device', device, '-smp', '3'])
    client = await QmpClient.connect(guest.socketPath)
  })
  afterAll(async () => {
    client?.close()
    await guest?.[Symbol.asyncDispose]()
  })

  it('serves one client: the second is told what to do', async () => {
    expect(client.version.major).toBeGreaterThan(4)
    const second = QmpClient.connect(guest.socketPath, { greetingTimeoutMs: 300 })
    await expect(second).rejects.toMatchObject({
      code: 'MONITOR_BUSY',
      message: expect.stringContaining('give Ullage a QMP socket of its own: -qmp unix:PATH,server=on,wait=off'),
    })
  })

  it('refuses in its own words', async () => {
    await expect(client.execute('no-such-command')).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      qmpClass: 'CommandNotFound',
      message: 'qemu refused no-such-command: The command no-such-command has not been found',
    })
  })

  it('tells its RAM: backends, flat view, host addresses, process', async () => {
    const backends = await memoryBackends(client)
    expect(backends.map(({ id, type, share, sizeBytes }) => ({ id, type, share, sizeBytes }))).toEqual(
      expect.arrayContaining([
        { id: 'pc.ram', type: 'memory-backend-ram', share: false, sizeBytes: 64 << 20 },
        { id: 'vm0', type: 'memory-backend-memfd', share: true, sizeBytes: 256 << 20 },
      ]),
    )
    const [device] = await virtioMemDevices(client)
    expect(device).toMatchObject({ memdev: 'vm0', maxSizeBytes: 256 << 20 })
    const { regions, notDumped } = guestRam(await flatView(client), backends)
    const total = regions.filter(({ name }) => name === 'pc.ram').reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    expect(total).toBeGreaterThan(63 << 20)
    expect(regions.find(({ name }) => name === 'vm0')).toMatchObject({ offsetBytes: 0, startBytes: device?.startBytes })
    expect(notDumped.map(({ name }) => name)).toContain('pc.bios')
    const process = await qemuProcess(client)
    expect(process.pid).toBe(guest.pid)
    for (const region of regions) expect(await hostAddress(client, region)).toBeGreaterThan(0x1000)
    const wrong = { name: 'vm0', startBytes: 0, sizeBytes: 4096, offsetBytes: 0 }
    await expect(hostAddress(client, wrong)).rejects.toMatchObject({ code: 'UNEXPECTED_ANSWER' })
  })

  const openFds = (): string[] =>
    readdirSync(`/proc/${guest.pid}/fd`)
      .map((fd) => readlinkSync(`/proc/${guest.pid}/fd/${fd}`).replace(/^socket:.*/, 'socket'))
      .sort()

  it('gives notes and keeps no descriptor', async () => {
    const before = openFds()
    // The firmware does not run in long mode: what it leaves in 64-bit registers is told by tests with a kernel.
    expect(await cpuNotes(client, { beginBytes: 0xf0000 })).toEqual({
      machine: 3,
      cpus: 0,
      elfNotes: new Uint8Array(0),
    })
    await expect(cpuNotes(client, { beginBytes: 0xf_0000_0000 })).rejects.toMatchObject({ code: 'COMMAND_FAILED' })
    await expect(cpuNotes(client, { beginBytes: -1 })).rejects.toMatchObject({ code: 'COMMAND_FAILED' })
    expect(openFds()).toEqual(before)
  })

  it('is reached through a relay: notes through a folder, its process by its threads', async () => {
    const before = openFds()
    client.close()
    // Bytes pass, descriptors do not, and the listener is this process.
    const relay = (socket: Socket): void => {
      const qemu = createConnection(guest.socketPath)
      qemu.on('error', () => undefined)
      socket.on('close', () => qemu.destroy())
      socket.pipe(qemu).pipe(socket)
    }
    await withServer(relay, async (path) => {
      using relayed = await QmpClient.connect(path)
      expect((await qemuProcess(relayed)).pid).toBe(guest.pid)
      const refused = cpuNotes(relayed, { beginBytes: 0xf0000 })
      await expect(refused).rejects.toMatchObject({
        code: 'COMMAND_FAILED',
        message: expect.stringMatching(/SCM_RIGHTS/),
      })
      const notes = await cpuNotes(relayed, { beginBytes: 0xf0000, folder: guest.folder })
      expect(notes.machine).toBe(3)
      expect(readdirSync(guest.folder).filter((name) => name.includes('notes'))).toEqual([])
    })
    client = await QmpClient.connect(guest.socketPath)
    expect(openFds()).toEqual(before)
  })

  it('is suitable, and an incoming migration is not', async () => {
    await refuseUnsuitable(client)
    await using waiting = await startFirmwareGuest(['-incoming', 'defer'])
    using other = await QmpClient.connect(waiting.socketPath)
    await expect(refuseUnsuitable(other)).rejects.toMatchObject({
      code: 'UNSUITABLE',
      message: expect.stringMatching(/waits for an incoming migration/),
    })
  })

  it('is refused while it migrates out', async () => {
    await using source = await startFirmwareGuest()
    using other = await QmpClient.connect(source.socketPath)
    await other.execute('migrate-set-parameters', { 'max-bandwidth': 1 })
    await other.execute('migrate', { uri: 'exec:cat >/dev/null' })
    await expect(refuseUnsuitable(other)).rejects.toMatchObject({ code: 'UNSUITABLE' })
  })

  it('dies: the command that runs and all later ones say so', async () => {
    await using dying = await startFirmwareGuest()
    const other = await QmpClient.connect(dying.socketPath)
    dying.process.kill('SIGSTOP')
    const running = other.execute('query-status')
    dying.process.kill('SIGKILL')
    await expect(running).rejects.toMatchObject({
      code: 'GONE',
      message: expect.stringContaining('during query-status'),
    })
    await expect(other.execute('query-status')).rejects.toMatchObject({ code: 'GONE' })
  })
})
