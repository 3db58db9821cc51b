import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'

/** Runs a program with files as its standard input and output. Returns its exit status; null when a signal ended it. */
export async function runWithFiles(
  argv: readonly string[],
  files: { readonly input?: string; readonly output?: string },
): Promise<number | null> {
  const [program = '', ...rest] = argv
  const input = files.input === undefined ? 'ignore' : openSync(files.input, 'r')
  const output = files.output === undefined ? 'ignore' : openSync(files.output, 'w')
  try {
    const child = spawn(program, rest, { stdio: [input, output, 'ignore'], timeout: 60_000 })
    await once(child, 'close')
    return child.exitCode
  } finally {
    for (const fd of [input, output]) if (typeof fd === 'number') closeSync(fd)
  }
}
