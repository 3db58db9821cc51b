import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
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

const folder = mkdtempSync('/tmp/ullage-monitor-')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let served = 0
/** A unix socket server that answers each connection with `talk`, for the length of `body`. */
async function withServer(talk: (socket: Socket) => void, body: (path: string) => Promise<unknown>): Promise<void> {
  const path = join(folder, `s${served++}`)
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    sockets.push(socket)
    talk(socket)
  })
  await new Promise<void>((resolve) => void server.listen(path, resolve))
  try {
    await body(path)
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

const greeting =
  '{"QMP": {"version": {"qemu": {"micro": 1, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}\r\n'

/** Answers capabilities, then leaves the next command to `next`. */
function afterGreeting(next: (socket: Socket, line: string) => void): (socket: Socket) => void {
  return (socket) => {
    socket.write(greeting)
    socket.on('data', (data: Buffer) => {
      const line = data.toString()
      if (line.includes('qmp_capabilities')) socket.write('{"return": {}, "id": 1}\r\n')
      else next(socket, line)
    })
  }
}

describe('QmpClient against what is not a monitor of its own', () => {
  it('says that nobody listens', async () => {
    const missing = join(folder, 'missing')
    await expect(QmpClient.connect(missing)).rejects.toMatchObject({
      code: 'NOT_LISTENING',
      message: `expected a qmp socket, found nothing at ${missing}; start qemu with -qmp unix:${missing},server=on,wait=off, or correct the path`,
    })
    const file = join(folder, 'file')
    writeFileSync(file, '')
    await expect(QmpClient.connect(file)).rejects.toMatchObject({ code: 'NOT_LISTENING' })
    await expect(QmpClient.connect(join(folder, 'x'.repeat(200)))).rejects.toMatchObject({ code: 'NOT_LISTENING' })
  })

  it.each([
    ['text', (socket: Socket) => void socket.write('220 mail.example ESMTP\r\n')],
    ['other JSON', (socket: Socket) => void socket.write('{"hello": 1}\n')],
    ['an end', (socket: Socket) => void socket.end()],
    [
      'an endless line',
      (socket: Socket) => {
        const more = (): void => {
          while (!socket.destroyed && socket.write(Buffer.alloc(1 << 20, 'x')));
        }
        socket.on('drain', more)
        more()
      },
    ],
  ])('says that %s is no QMP', async (_name, talk) => {
    await withServer(talk, (path) => expect(QmpClient.connect(path)).rejects.toMatchObject({ code: 'NOT_A_MONITOR' }))
  })

  it('says what to do when the connection stays silent', async () => {
    await withServer(
      () => undefined,
      async (path) => {
        const started = performance.now()
        const connecting = QmpClient.connect(path, { greetingTimeoutMs: 50 })
        await expect(connecting).rejects.toMatchObject({
          code: 'MONITOR_BUSY',
          message: expect.stringMatching(/-qmp unix/),
        })
        expect(performance.now() - started).toBeLessThan(1500)
      },
    )
  })

  it('gives up when aborted, before and while it waits', async () => {
    await withServer(
      () => undefined,
      async (path) => {
        await expect(QmpClient.connect(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({
          name: 'AbortError',
        })
        const waiting = QmpClient.connect(path, { signal: AbortSignal.timeout(30) })
        await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' })
      },
    )
  })

  const ends: [string, (socket: Socket) => void, string][] = [
    ['closes', (socket) => void socket.destroy(), 'GONE'],
    ['answers with nonsense', (socket) => void socket.write('nonsense\n'), 'UNEXPECTED_ANSWER'],
    ['answers without id', (socket) => void socket.write('{"return": {}}\n'), 'UNEXPECTED_ANSWER'],
    ['says nothing', () => undefined, 'TIMEOUT'],
  ]
  it.each(ends)('ends a command when the other side %s', async (_name, next, code) => {
    await withServer(afterGreeting(next), async (path) => {
      const client = await QmpClient.connect(path)
      await expect(client.execute('stop', {}, { timeoutMs: 100 })).rejects.toMatchObject({ code })
      client.close()
      await expect(client.execute('stop')).rejects.toBeInstanceOf(Error)
    })
  })

  it('takes answers in any order, in pieces, with events between', async () => {
    const lines: string[] = []
    await withServer(
      afterGreeting((socket, data) => {
        lines.push(...data.trim().split('\n'))
        if (lines.length < 2) return
        const ids = lines.map((line) => Number(/"id":(\d+)/.exec(line)?.[1]))
        const text = `{"return": "b", "id": ${ids[1]}}\n{"event": "STOP"}\n{"return": "a", "id": ${ids[0]}}\n`
        for (const byte of Buffer.from(text)) socket.write(Buffer.of(byte))
      }),
      async (path) => {
        using client = await QmpClient.connect(path)
        const events: string[] = []
        client.onEvent(({ name }) => events.push(name))
        expect(await Promise.all([client.execute('one'), client.execute('two')])).toEqual(['a', 'b'])
        expect(events).toEqual(['STOP'])
      },
    )
  })
})

/** A QEMU made of answers: what a machine without the hardware cannot start. */
function answering(answers: Record<string, unknown>): (socket: Socket) => void {
  return afterGreeting((socket, data) => {
    for (const line of data.trim().split('\n')) {
      const { execute, id, arguments: args } = JSON.parse(line) as { execute: string; id: number; arguments: object }
      const answer = answers[`${execute} ${Object.values(args).join(' ')}`.trim()]
      const error = { class: 'CommandNotFound', desc: `The command ${execute} has not been found` }
      socket.write(`${JSON.stringify(answer === undefined ? { error, id } : { return: answer, id })}\n`)
    }
  })
}

describe('refuseUnsuitable', () => {
  const running = { 'query-status': { status: 'running', running: true } }
  const support = 'qom-get /machine confidential-guest-support'
  const unsuitable: [string, Record<string, unknown>, RegExp][] = [
    ['a guest that arrives', { 'query-status': { status: 'inmigrate' } }, /waits for an incoming migration/],
    ['postcopy', { ...running, 'query-migrate': { status: 'postcopy-active' } }, /in a migration \(postcopy-active\)/],
    ['an active migration', { ...running, 'query-migrate': { status: 'active' } }, /in a migration \(active\)/],
    ['SEV', { ...running, 'query-sev': { enabled: true } }, /confidential guest \(SEV\)/],
    ['TDX', { ...running, [support]: '/objects/t0', 'qom-get /objects/t0 type': 'tdx-guest' }, /guest \(tdx-guest\)/],
  ]
  it.each(unsuitable)('refuses %s', async (_name, answers, message) => {
    await withServer(answering(answers), async (path) => {
      using client = await QmpClient.connect(path)
      await expect(refuseUnsuitable(client)).rejects.toMatchObject({
        code: 'UNSUITABLE',
        message: expect.stringMatching(message),
      })
    })
  })

  const suitable: [string, Record<string, unknown>][] = [
    ['a QEMU without these commands', { ...running, [support]: '' }],
    ['a migration that has ended', { ...running, [support]: '', 'query-migrate': { status: 'completed' } }],
    ['a host without SEV', { ...running, [support]: '', 'query-migrate': {}, 'query-sev': { enabled: false } }],
  ]
  it.each(suitable)('lets %s pass', async (_name, answers) => {
    await withServer(answering(answers), async (path) => {
      using client = await QmpClient.connect(path)
      await refuseUnsuitable(client)
    })
  })
})

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
