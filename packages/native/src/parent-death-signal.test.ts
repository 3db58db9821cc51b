import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'

const source = new URL('parent-death-signal.ts', import.meta.url).href

/** Starts a child that says its pid, armed or not, and stays; then waits for nothing but its own end. */
const parent = `
  import { spawn } from 'node:child_process'
  const child = \`
    if (process.argv[1] === 'armed') {
      const { setParentDeathSignal } = await import('${source}')
      setParentDeathSignal('SIGKILL')
    }
    process.stdout.write(process.pid + '\\\\n')
    setInterval(() => {}, 1000)\`
  spawn(process.execPath, ['--conditions=@ullage/source', '--input-type=module', '-e', child, process.argv[1]], { stdio: 'inherit' })`

/** Letter of the process's state in /proc, undefined when there is none. */
function stateOf(pid: number): string | undefined {
  try {
    return /\) (\w) /.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1]
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
      return undefined
    throw error
  }
}

const hasEnded = (pid: number): boolean => [undefined, 'Z', 'X'].includes(stateOf(pid))

async function killParentOf(how: 'armed' | 'unarmed'): Promise<number> {
  const args = ['--conditions=@ullage/source', '--input-type=module', '-e', parent, how]
  const middle = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(middle.stdout, 'data')) as [Buffer]
  const exit = once(middle, 'exit')
  middle.kill('SIGKILL')
  await exit
  return Number(line.toString())
}

test('a child that asked for it dies with its parent, one that did not lives on', async () => {
  const [armed, unarmed] = await Promise.all([killParentOf('armed'), killParentOf('unarmed')])
  try {
    const deadline = Date.now() + 10_000
    while (!hasEnded(armed) && Date.now() < deadline) await setTimeout(5)
    expect(hasEnded(armed)).toBe(true)
    expect(hasEnded(unarmed)).toBe(false)
  } finally {
    process.kill(unarmed, 'SIGKILL')
  }
})
