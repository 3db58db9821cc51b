import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/** Runs the same command with the Node that the set-up brought, and ends as it ends. */
export function runWithNewerNode(oldestMajor) {
  const node = nodeOfTheCheckout()
  if (node === undefined) {
    console.error(`ullage: needs Node ${oldestMajor} or newer, this is ${process.version}: run npm run setup first`)
    process.exit(2)
  }
  const bin = fileURLToPath(new URL('./ullage.js', import.meta.url))
  const child = spawn(node, [bin, ...process.argv.slice(2)], { stdio: 'inherit' })
  // A terminal signals the child as well: it must hear of an interruption once, and this process waits for it.
  process.on('SIGINT', () => undefined)
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (status, signal) => {
    process.exitCode = status ?? (signal === 'SIGINT' ? 130 : 1)
  })
}

function nodeOfTheCheckout() {
  try {
    const path = createRequire(import.meta.url).resolve('node/bin/node')
    return existsSync(path) ? path : undefined
  } catch {
    return undefined
  }
}
