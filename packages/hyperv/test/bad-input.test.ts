import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FilesSource, openHyperv } from '@ullage/hyperv'
import type { OfflineErrorCode } from '@ullage/offline-query'
import { afterAll, describe, expect, it } from 'vitest'
import * as made from './made-dm-message.ts'

const MIB = 1 << 20
const folder = mkdtempSync('/tmp/ullage-hyperv-bad-input-')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const write = (name: string, content: string | Buffer) => writeFileSync(join(folder, name), content)
write('ram.raw', Buffer.alloc(4 * MIB, 1))
write('text.json', 'ranges')
write('ranges.json', '{"ballooned": [[0, 4]], "hotAdded": []}')
write('elsewhere.json', '{"ballooned": [[1020, 8]], "hotAdded": [[8388608, 100]]}')
write('backing.json', JSON.stringify({ regions: [[[0, 4 * MIB]]] }))
write('two.json', JSON.stringify({ regions: [[], []] }))
write('beyond.json', JSON.stringify({ regions: [[[0, 8 * MIB]]] }))
write('short.elf', '\x7fELF')
write('bad.jsonl', '{"from": "guest", "hex": "0"}\n')
execFileSync('mkfifo', [join(folder, 'pipe')])

const jsonl = (messages: readonly (readonly ['guest' | 'host', Uint8Array])[]) =>
  messages.map(([from, bytes]) => JSON.stringify({ from, hex: Buffer.from(bytes).toString('hex') })).join('\n')

const whole = { gpa: 0, size: 4 * MIB, file: 'ram.raw', offset: 0 }
const files = (rest: Partial<FilesSource>): FilesSource => ({
  kind: 'files',
  regions: [whole],
  ranges: 'ranges.json',
  ...rest,
})
const open = (source: FilesSource, signal?: AbortSignal) =>
  openHyperv(source, { baseDir: folder, stateDir: join(folder, 'state'), signal })

const refusals: [string, FilesSource, OfflineErrorCode, RegExp][] = [
  [
    'no word of the host',
    files({ ranges: undefined }),
    'INVALID',
    /at least one of "ranges", "messages" and "backing"/,
  ],
  ['no regions', files({ regions: [] }), 'INVALID', /at least one region/],
  ['a RAM file that is not there', files({ regions: [{ ...whole, file: 'no.raw' }] }), 'INVALID', /no\.raw/],
  ['a truncated RAM file', files({ regions: [{ ...whole, size: 8 * MIB }] }), 'INVALID', /only 4194304 bytes/],
  [
    'regions that overlap',
    files({ regions: [whole, { ...whole, gpa: MIB, size: MIB }] }),
    'INVALID',
    /overlaps itself/,
  ],
  ['a region between two frames', files({ regions: [{ ...whole, gpa: 16 }] }), 'INVALID', /multiples of 4096/],
  ['ranges that are not there', files({ ranges: 'no.json' }), 'INVALID', /no\.json/],
  ['ranges that are no JSON', files({ ranges: 'text.json' }), 'INVALID', /text\.json: expected JSON/],
  ['a backing map for ranges', files({ ranges: 'backing.json' }), 'INVALID', /backing\.json: expected \{ "ballooned"/],
  ['ranges in a pipe', files({ ranges: 'pipe' }), 'INVALID', /pipe, found something that is no regular file/],
  ['ranges in a folder', files({ ranges: '.' }), 'INVALID', /no regular file/],
  ['messages that are not there', files({ messages: 'no.jsonl' }), 'INVALID', /no\.jsonl/],
  ['messages that are none', files({ messages: 'bad.jsonl' }), 'INVALID', /bad\.jsonl:1: expected a message/],
  ['ranges for messages', files({ messages: 'ranges.json' }), 'INVALID', /ranges\.json:1: expected a message/],
  ['a backing map of another guest', files({ backing: 'two.json' }), 'INVALID', /ranges of 1 regions, found.* 2/],
  ['a backing map beyond its file', files({ backing: 'beyond.json' }), 'INVALID', /beyond the file's/],
  ['ranges for a backing map', files({ backing: 'ranges.json' }), 'INVALID', /ranges\.json: expected \{ "regions"/],
  ['notes that are cut off', files({ notes: 'short.elf' }), 'INVALID', /short\.elf/],
  ['notes that are no ELF', files({ notes: 'ram.raw' }), 'INVALID', /ram\.raw, found: another magic/],
]

describe('openHyperv', () => {
  it.each(refusals)('refuses %s, and holds nothing open', async (_name, source, code, message) => {
    const before = readdirSync('/proc/self/fd').length
    await expect(open(source)).rejects.toMatchObject({
      name: 'OfflineError',
      code,
      message: expect.stringMatching(message),
    })
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before)
  })

  it('opens nothing when aborted', async () => {
    await expect(open(files({}), AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('names the frame of a file that was truncated while it was open', async () => {
    write('cut.raw', Buffer.alloc(4 * MIB, 1))
    await using guest = await open(files({ regions: [{ ...whole, file: 'cut.raw', gpa: 16 * MIB }] }))
    truncateSync(join(folder, 'cut.raw'), MIB)
    const first = (16 * MIB) / 4096
    guest.memory.read({ start: first, count: 256 }, new Uint8Array(MIB))
    expect(() => guest.memory.read({ start: first + 200, count: 100 }, new Uint8Array(100 * 4096))).toThrow(
      expect.objectContaining({ code: 'UNREADABLE', message: expect.stringContaining(`frame ${first + 256} `) }),
    )
  })

  it('refuses to read what is ballooned out, whatever the file holds there', async () => {
    await using guest = await open(files({}))
    expect(() => guest.memory.read({ start: 2, count: 4 }, new Uint8Array(4 * 4096))).toThrow(
      expect.objectContaining({ code: 'UNREADABLE', message: expect.stringContaining('frame 2 has no memory') }),
    )
    guest.memory.read({ start: 4, count: 1 }, new Uint8Array(4096))
  })
})

describe('a warning tells', () => {
  const codesOf = async (source: FilesSource) => {
    await using guest = await open(source)
    return guest.warnings.map(({ code, text }) => `${code} ${text}`)
  }

  it('of frames in no region, and of notes that were not given', async () => {
    expect(await codesOf(files({ ranges: 'elsewhere.json' }))).toEqual([
      expect.stringMatching(/^NO_NOTES /),
      expect.stringMatching(/^DM_OUTSIDE_RAM 104 frames in elsewhere\.json are in no region/),
    ])
  })

  it('of frames that are ballooned and have memory by the hole map', async () => {
    expect(await codesOf(files({ backing: 'backing.json' }))).toContainEqual(
      expect.stringMatching(/^BACKING_DIFFERS 4 frames .* by backing\.json, whose word counts$/),
    )
  })

  it('of faults in the messages, with the line of the first, and that the state is unknown', async () => {
    const start = [
      ['guest', made.versionRequest(2, 0)],
      ['host', made.versionResponse()],
      ['host', made.balloonRequest(16)],
      ['guest', made.balloonResponse([[0, 16]])],
    ] as const
    write('faults.jsonl', jsonl([...start, ['host', made.unballoonRequest([[0, 4]]).subarray(0, 20)]]))
    const source = files({ ranges: undefined, messages: 'faults.jsonl' })
    expect(await codesOf(source)).toContainEqual(
      expect.stringMatching(/^DM_FAULTS faults in the messages of faults\.jsonl \(SHORT 1\), the first in line 5: /),
    )
    await using guest = await open(source)
    const states: string[] = []
    for await (const run of guest.backing.backing({ within: { start: 0, count: 1024 } })) states.push(run.state)
    expect(states).toEqual(['unknown'])
  })

  it('of a channel whose start was not seen, and of a request that is not answered', async () => {
    write('middle.jsonl', jsonl([['host', made.balloonRequest(16)]]))
    expect(await codesOf(files({ ranges: undefined, messages: 'middle.jsonl' }))).toEqual([
      expect.stringMatching(/^NO_NOTES /),
      expect.stringMatching(/^DM_START_MISSING middle\.jsonl begins in the middle of the channel/),
      expect.stringMatching(/^DM_UNANSWERED the guest has not answered for 16 frames/),
    ])
    write('empty.jsonl', '')
    expect(await codesOf(files({ ranges: undefined, messages: 'empty.jsonl' }))).toContainEqual(
      expect.stringMatching(/^DM_START_MISSING empty\.jsonl holds no messages/),
    )
  })
})
