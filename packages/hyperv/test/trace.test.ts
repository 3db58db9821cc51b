import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GuestRam, openFileRam } from '@ullage/host-memory'
import { openHyperv, parseDmRanges } from '@ullage/hyperv'
import { bootGuest, unpackHypervFixture, unpackHypervMessages } from '@ullage/lab'
import type { BackingRun } from '@ullage/offline-query'
import { QmpClient } from '@ullage/qemu'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { DmTrace } from '../src/live/dm-trace.ts'
import { parseTraceEvent } from '../src/live/trace-event.ts'
import { TraceWitness } from '../src/live/trace-witness.ts'

const MIB = 1 << 20
const HOT_ADD_GPA = 0x8_0000_0000
const RAM = [
  { start: 0, count: 65_536 },
  { start: 0x80_0000, count: 65_536 },
]

const folder = mkdtempSync(join(tmpdir(), 'ullage-trace-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('traces of real guests', () => {
  test.each([
    ['6.1, ballooned and in part given back', unpackHypervMessages],
    ['6.12, hot-added and ballooned', unpackHypervFixture],
  ])('of %s come to the same ranges as the messages', async (_, unpack) => {
    const kept = await unpack()
    const trace = new DmTrace(RAM)
    for (const line of readFileSync(kept.trace, 'latin1').split('\n')) {
      const event = parseTraceEvent(line)
      if (event) trace.take(event)
    }
    expect(trace.ranges()).toEqual(parseDmRanges(readFileSync(kept.ranges, 'utf8'), kept.ranges))
    expect(trace.state.version).toEqual({ major: 2, minor: 0 })
    expect(trace.state.faults).toEqual([])
    expect(trace.state.unansweredFrames).toBe(0)
    expect(trace.unreadable.size).toBe(0)
  })
})

describe('the witness', () => {
  const closers: (() => void)[] = []
  afterEach(() => {
    for (const close of closers.splice(0).reverse()) close()
  })

  /** What QEMU 10.0.13 answered, in the order of a guest with hot-added memory; `actual` is what query-balloon says. */
  async function qemuSaying(actual: number): Promise<QmpClient> {
    const answers: Record<string, unknown> = {
      qmp_capabilities: {},
      'qom-list': [{ name: 'hvb0', type: 'child<hv-balloon>' }],
      'query-memory-size-summary': { 'base-memory': 256 * MIB, 'plugged-memory': 256 * MIB },
      'query-memory-devices': [
        {
          type: 'hv-balloon',
          data: { memdev: '/objects/ham', memaddr: HOT_ADD_GPA, 'max-size': 256 * MIB, id: 'hvb0' },
        },
      ],
      'query-balloon': { actual },
    }
    const socket = join(mkdtempSync(join(folder, 'qmp-')), 'qmp')
    const server = createServer((line) => {
      line.write(
        '{"QMP": {"version": {"qemu": {"micro": 13, "minor": 0, "major": 10}, "package": ""}, "capabilities": []}}\n',
      )
      line.setEncoding('utf8').on('data', (text: string) => {
        for (const message of text.split('\n').filter(Boolean)) {
          const { execute, id } = JSON.parse(message) as { execute: string; id?: unknown }
          line.write(`${JSON.stringify({ return: answers[execute], id })}\n`)
        }
      })
    })
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    const client = await QmpClient.connect(socket)
    closers.push(
      () => server.close(),
      () => client[Symbol.dispose](),
    )
    return client
  }

  /** 256 MiB at 0 and 256 MiB of hot-add memory, with data in the byte ranges given. */
  function ramWith(...data: { startByte: number; endByte: number }[]): GuestRam {
    const path = join(mkdtempSync(join(folder, 'ram-')), 'ram')
    writeFileSync(path, '')
    truncateSync(path, 512 * MIB)
    const source = openFileRam({
      path,
      offsetBytes: 0,
      sizeBytes: 512 * MIB,
      data: data.map(({ startByte, endByte }) => ({ startBytes: startByte, endBytes: endByte })),
    })
    const region = { sizeBytes: 256 * MIB, source }
    const ram = new GuestRam([
      { ...region, name: 'pc.ram', gpaBytes: 0, sourceOffsetBytes: 0 },
      { ...region, name: 'ham', gpaBytes: HOT_ADD_GPA, sourceOffsetBytes: 256 * MIB },
    ])
    closers.push(() => ram[Symbol.dispose]())
    return ram
  }

  async function traceOfHotAdd(): Promise<string> {
    const path = join(mkdtempSync(join(folder, 'trace-')), 'qemu.trace')
    copyFileSync((await unpackHypervFixture()).trace, path)
    return path
  }

  /** What the trace leaves the guest: 256 MiB and 100 MiB hot-added, 56 MiB ballooned out of it. */
  const LEFT = (256 + 100 - 56) * MIB

  test('agrees with QEMU and the memory of the fixture', async () => {
    using witness = new TraceWitness(await traceOfHotAdd())
    const client = await qemuSaying(LEFT)
    expect(await witness.look({ client, ram: ramWith({ startByte: 0, endByte: MIB }) })).toEqual([])
  })

  test('tells what the memory cannot: ballooned frames, and those that were never added', async () => {
    using witness = new TraceWitness(await traceOfHotAdd())
    await witness.look({ client: await qemuSaying(LEFT), ram: ramWith() })
    const unknown: BackingRun[] = [
      { start: 0x2700, count: 0x400, state: 'unknown' },
      { start: 0x2b00, count: 1, state: 'backed' },
      { start: 0x80_0000, count: 0x1_0000, state: 'unknown' },
    ]
    expect([...witness.refine(unknown)]).toEqual([
      { start: 0x2700, count: 0x100, state: 'unknown' },
      { start: 0x2800, count: 0x200, state: 'unbacked' },
      { start: 0x2a00, count: 0x100, state: 'unknown' },
      { start: 0x2b00, count: 1, state: 'backed' },
      { start: 0x80_0000, count: 0x200, state: 'unknown' },
      { start: 0x80_0200, count: 0x200, state: 'unbacked' },
      { start: 0x80_0400, count: 0x2c00, state: 'unknown' },
      { start: 0x80_3000, count: 0xd000, state: 'unbacked' },
    ])
  })

  test('counts frames that are out and have memory, and says when QEMU counts otherwise', async () => {
    using witness = new TraceWitness(await traceOfHotAdd())
    // One frame that is neither, ten of the ballooned ones, one that was never added.
    const ram = ramWith(
      { startByte: 0, endByte: 4096 },
      { startByte: 0x280_0000, endByte: 0x280_a000 },
      { startByte: 256 * MIB + 0x640_0000, endByte: 256 * MIB + 0x640_1000 },
    )
    const warnings = await witness.look({ client: await qemuSaying(LEFT - 4096), ram })
    expect(warnings.map(({ code, text }) => [code, /^\d+/.exec(text)?.[0]])).toEqual([
      ['DM_TRACE_DIFFERS', '14336'],
      ['BACKING_DIFFERS', '11'],
    ])
  })

  test('takes what has been added to the trace when it looks again', async () => {
    const path = await traceOfHotAdd()
    using witness = new TraceWitness(path)
    const ram = ramWith({ startByte: 0x280_0000, endByte: 0x280_a000 })
    const before = await witness.look({ client: await qemuSaying(LEFT), ram })
    expect(before.map(({ code }) => code)).toEqual(['BACKING_DIFFERS'])
    appendFileSync(path, 'hv_balloon_outgoing_unballoon posting unballoon 2 for 512 @ 0x2800, remaining 0\n')
    expect(await witness.look({ client: await qemuSaying(LEFT + 2 * MIB), ram })).toEqual([])
    appendFileSync(path, 'hv_balloon_hot_remove taking 3\n')
    const after = await witness.look({ client: await qemuSaying(LEFT + 2 * MIB), ram })
    expect(after.map(({ code }) => code)).toEqual(['DM_TRACE_UNREADABLE'])
    truncateSync(path, 10)
    const cut = await witness.look({ client: await qemuSaying(LEFT + 2 * MIB), ram })
    expect(cut.map(({ code }) => code)).toEqual(['DM_TRACE_CUT', 'DM_TRACE_UNREADABLE'])
  })

  test('says of a log without events that nothing is known', async () => {
    const path = join(folder, 'empty.trace')
    writeFileSync(path, 'qemu-system-x86_64: warning: something\n')
    using witness = new TraceWitness(path)
    const [warning, ...more] = await witness.look({ client: await qemuSaying(LEFT), ram: ramWith() })
    expect(more).toEqual([])
    expect(warning).toMatchObject({ code: 'DM_START_MISSING', text: expect.stringContaining('holds no messages') })
  })

  test('without a trace says that the extent of hot-added memory is not told', async () => {
    using witness = new TraceWitness(undefined)
    const [warning] = await witness.look({ client: await qemuSaying(LEFT), ram: ramWith() })
    expect(warning).toMatchObject({ code: 'HOT_ADD_UNTOLD', text: expect.stringContaining('65536 frames of ham') })
    const unknown: BackingRun = { start: 0, count: 9, state: 'unknown' }
    expect([...witness.refine([unknown])]).toEqual([unknown])
  })
})

test('a guest whose QEMU has no hv-balloon is refused, with the backend that dumps it', async () => {
  await using guest = await bootGuest({ era: 'bookworm', memMiB: 128 })
  const options = { baseDir: folder, stateDir: folder }
  await expect(openHyperv({ kind: 'qmp', socket: guest.qmpSocket }, options)).rejects.toMatchObject({
    name: 'OfflineError',
    code: 'INVALID',
    message: expect.stringContaining('found none: dump its guest with backend "virtio-balloon"'),
  })
  await expect(openHyperv({ kind: 'qmp', socket: guest.qmpSocket, trace: 'absent' }, options)).rejects.toMatchObject({
    code: 'INVALID',
    message: expect.stringContaining(`at ${join(folder, 'absent')}`),
  })
  expect(await guest.status()).toBe('running')
})
