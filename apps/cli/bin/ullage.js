#!/usr/bin/env node
// Plain JavaScript that any Node can run, so that a Node too old for Ullage gets a sentence and not a syntax error.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const OLDEST_MAJOR = 24
const source = new URL('../src/main.ts', import.meta.url)

if (Number(process.versions.node.split('.')[0]) < OLDEST_MAJOR) runWithNewerNode()
else if (existsSync(source)) {
  // In a checkout the sources run as they are: packages are found by their `@ullage/source` entry.
  module.registerHooks({
    resolve: (specifier, context, next) =>
      next(specifier, { ...context, conditions: [...context.conditions, '@ullage/source'] }),
  })
  await import(source.href)
} else {
  await import(new URL('../dist/main.js', import.meta.url).href)
}

/** Runs the same command with the Node that the set-up brought, and ends as it ends. */
function runWithNewerNode() {
  const node = nodeOfTheCheckout()
  if (node === undefined) {
    console.error(`ullage: needs Node ${OLDEST_MAJOR} or newer, this is ${process.version}: run npm run setup first`)
    process.exit(2)
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
  // A terminal signals the child as well: it must hear of an interruption once, and this process waits for it.
  process.on('SIGINT', () => undefined)
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (status, signal) => {
    process.exitCode = status ?? (signal === 'SIGINT' ? 130 : 1)
  })
}

function nodeOfTheCheckout() {
  try {
    const path = module.createRequire(import.meta.url).resolve('node/bin/node')
    return existsSync(path) ? path : undefined
  } catch {
    return undefined
  }
}
