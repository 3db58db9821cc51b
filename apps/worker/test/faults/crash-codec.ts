import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

/** x86-64 `xor eax, eax; mov eax, [rax]`: reads address 0. Over and over, so that it is met wherever a call lands. */
const FAULT = Buffer.from([0x31, 0xc0, 0x8b, 0x00])

/**
 * Has the next call into the library `name` fail with SIGSEGV in native code, in that one process: its copy of the code is
 * overwritten, nobody else's. Throws when the process has not loaded it. Needs root, and x86-64.
 */
export function crashCodec(pid: number, name: string): void {
  const code = readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .filter((line) => line.includes(name))
    .map((line) => /^([0-9a-f]+)-([0-9a-f]+) r-xp /.exec(line))
    .filter((found) => found !== null)
    .map(([, start, end]) => ({ start: Number.parseInt(start ?? '', 16), end: Number.parseInt(end ?? '', 16) }))
  if (code.length === 0) throw new Error(`expected process ${pid} to have loaded ${name}, found no such code in it`)
  const memory = openSync(`/proc/${pid}/mem`, 'r+')
  try {
    for (const { start, end } of code) writeSync(memory, Buffer.alloc(end - start, FAULT), 0, end - start, start)
  } finally {
    closeSync(memory)
  }
}
