import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { TraceFile } from './trace-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-trace-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
function made(text: string | Uint8Array): string {
  const path = join(folder, `${++files}.trace`)
  writeFileSync(path, text)
  return path
}

async function linesOf(file: TraceFile): Promise<string[]> {
  const lines: string[] = []
  for await (const line of file.lines(undefined)) lines.push(line)
  return lines
}

test('goes on where it ended, and waits for the end of a line', async () => {
  const path = made('one\ntwo\nthr')
  using file = new TraceFile(path)
  expect(await linesOf(file)).toEqual(['one', 'two'])
  appendFileSync(path, 'ee\nfour\n')
  expect(await linesOf(file)).toEqual(['three', 'four'])
  expect(await linesOf(file)).toEqual([])
  expect(file.isReplaced()).toBe(false)
  file.rewind()
  expect(await linesOf(file)).toHaveLength(4)
})

test('passes over lines that are too long, in bounded memory', async () => {
  using file = new TraceFile(made(`one\n${'x'.repeat(3 << 20)}\ntwo\n`))
  expect(await linesOf(file)).toEqual(['one', 'two'])
})

test('notices that the file was cut, or that another one stands in its place', async () => {
  const cut = made('one\ntwo\n')
  using first = new TraceFile(cut)
  await linesOf(first)
  truncateSync(cut, 2)
  expect(first.isReplaced()).toBe(true)

  const moved = made('one\n')
  using second = new TraceFile(moved)
  renameSync(moved, `${moved}.1`)
  expect(second.isReplaced()).toBe(true)
  writeFileSync(moved, 'one\n')
  expect(second.isReplaced()).toBe(true)
})

test('refuses what is no log', () => {
  expect(() => new TraceFile(join(folder, 'absent'))).toThrow(/expected qemu's log with trace events.*ENOENT/)
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  expect(() => new TraceFile(fifo)).toThrow(/no regular file/)
  const binary = new Uint8Array(24).fill(0xff, 0, 8)
  expect(() => new TraceFile(made(binary))).toThrow(/found a binary trace: use a qemu whose trace backend is log/)
})

test('stops when it is told to', async () => {
  using file = new TraceFile(made('one\n'))
  const lines = file.lines(AbortSignal.abort())
  await expect(lines.next()).rejects.toMatchObject({ name: 'AbortError' })
})
