import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readDmMessages } from './read-dm-messages.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-dm-messages-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function read(text: string | Buffer, signal?: AbortSignal) {
  const path = join(folder, 'dm.jsonl')
  writeFileSync(path, text)
  const lines: string[] = []
  for await (const { line, from, bytes } of readDmMessages(path, { signal })) {
    lines.push(`${line} ${from} ${Buffer.from(bytes).toString('hex')}`)
  }
  return lines
}

test('takes a message a line, in order, whatever else the line says', async () => {
  expect(await read('{"from":"guest","hex":"00ff"}\n\n{"hex":"","from":"host","at":1.5}\r\n')).toEqual([
    '1 guest 00ff',
    '3 host ',
  ])
  expect(await read('{"from":"guest","hex":"AB"}')).toEqual(['1 guest ab'])
  expect(await read('')).toEqual([])
})

test('takes lines across the borders of what is read at once', async () => {
  const line = (i: number) => `{"from": "host", "hex": "${i.toString(16).padStart(2000, '0')}"}`
  const lines = await read(Array.from({ length: 3000 }, (_, i) => line(i)).join('\n'))
  expect(lines).toHaveLength(3000)
  expect(lines[2999]).toBe(`3000 host ${(2999).toString(16).padStart(2000, '0')}`)
})

test.each([
  ['no JSON', '{"from":"guest","hex":"00"}\nguest 00\n', /dm\.jsonl:2: expected a message .*found "guest 00"/],
  ['a line cut off', '{"from":"guest","hex":"00', /dm\.jsonl:1/],
  ['a third side', '{"from":"vmm","hex":"00"}', /dm\.jsonl:1/],
  ['half a byte', '{"from":"guest","hex":"000"}', /dm\.jsonl:1/],
  ['no hex', '{"from":"guest","hex":"0x"}', /dm\.jsonl:1/],
  ['no bytes', '{"from":"guest"}', /dm\.jsonl:1/],
  ['null', 'null', /dm\.jsonl:1/],
  ['a line without end', Buffer.alloc(2 << 20, 'a'), /lines of one message each, found one of more than 262144 bytes/],
])('refuses %s, naming the line', async (_, text, message) => {
  await expect(read(text)).rejects.toMatchObject({ code: 'INVALID', message: expect.stringMatching(message) })
})

test('refuses what is no file, and waits for no pipe', async () => {
  execFileSync('mkfifo', [join(folder, 'pipe')])
  for (const name of ['none', '.', 'pipe']) {
    const reading = readDmMessages(join(folder, name)).next()
    await expect(reading).rejects.toMatchObject({ name: 'OfflineError', code: 'INVALID' })
  }
})

test('says so when the file cannot be read', async () => {
  await expect(readDmMessages('/proc/self/mem').next()).rejects.toMatchObject({
    code: 'INVALID',
    message: expect.stringMatching(/messages at \/proc\/self\/mem, found: EIO/),
  })
})

test('ends when the signal says so, and holds nothing open', async () => {
  const before = readdirSync('/proc/self/fd').length
  const aborted = read('{"from":"guest","hex":"00"}\n', AbortSignal.abort())
  await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
  for await (const { line } of readDmMessages(join(folder, 'dm.jsonl'))) {
    expect(line).toBe(1)
    break
  }
  expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before)
})
