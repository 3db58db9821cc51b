import { spawn, spawnSync } from 'node:child_process'
import { SetupError } from './setup-error.mjs'

/** Runs a program and returns what it printed; throws with the end of its own words when it fails. */
export function output(argv, options = {}) {
  const result = tryRun(argv, options)
  if (result.status !== 0) throw new SetupError(`${argv.slice(0, 4).join(' ')} … failed: ${result.words}`)
  return result.stdout
}

/** Runs a program to its end; never throws. `words` is the end of what it complained. */
export function tryRun(argv, options = {}) {
  const [program, ...rest] = argv
  const result = spawnSync(program, rest, { encoding: 'utf8', maxBuffer: 1 << 28, ...options })
  const complaint = String(result.stderr || result.stdout || '')
    .trim()
    .split('\n')
    .slice(-6)
    .join('\n  ')
  const words = result.error ? result.error.message : complaint || `status ${result.status ?? result.signal}`
  return { status: result.error ? -1 : (result.status ?? -1), stdout: result.stdout ?? '', words }
}

/** Runs a program that may take minutes, its output going to our stderr. Resolves to its status. */
export function runLoudly(argv, options = {}) {
  const [program, ...rest] = argv
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { stdio: ['ignore', 2, 2], ...options })
    child.on('error', reject)
    child.on('close', (status) => resolve(status ?? -1))
  })
}
