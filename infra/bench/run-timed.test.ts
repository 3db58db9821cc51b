import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runTimed } from './run-timed.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-bench-test-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const signal = AbortSignal.timeout(100_000)

test('what a program prints is returned with its figures', async () => {
  const run = await runTimed(['sh', '-c', 'echo result; echo said >&2'], { signal })
  expect(run).toMatchObject({ stdout: 'result\n', stderr: 'said\n' })
  expect(run.peakBytes).toBeGreaterThan(0)
})

test('who is left behind is waited for and counted', async () => {
  const mark = join(folder, 'orphan')
  // The shell ends at once; its child writes when it has used some CPU time.
  const orphan = `(perl -e 'my $used; do { 1 for 1 .. 1e5; ($used) = times } until $used > 0.3' > /dev/null 2>&1; echo > ${mark}) &`
  const run = await runTimed(['sh', '-c', orphan], { signal })
  expect(existsSync(mark)).toBe(true)
  expect(run.cpuMs).toBeGreaterThanOrEqual(300)
})

test('a program that fails is an error with what it said', async () => {
  await expect(runTimed(['sh', '-c', 'echo why >&2; exit 3'], { signal })).rejects.toThrow(/wait status 768:\s+why/)
  await expect(runTimed(['/nowhere/program'], { signal })).rejects.toThrow(/No such file/)
})

test('an interruption ends what is measured', async () => {
  const mark = join(folder, 'pid')
  const abort = new AbortController()
  const run = runTimed(['sh', '-c', `echo $$ > ${mark}; exec sleep 1000`], { signal: abort.signal })
  const pid = await waitFor(() => existsSync(mark) && readFileSync(mark, 'latin1').trim())
  abort.abort()
  await expect(run).rejects.toThrow('aborted')
  await waitFor(() => !existsSync(`/proc/${pid}`))
})

async function waitFor<T>(look: () => T | false | ''): Promise<T> {
  for (;;) {
    const found = look()
    if (found !== false && found !== '') return found
    await setTimeout(20, undefined, { signal })
  }
}
