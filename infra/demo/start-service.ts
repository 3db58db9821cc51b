import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

const bin = resolve(import.meta.dirname, '../../apps/cli/bin/ullage.js')

export interface Service extends AsyncDisposable {
  readonly url: string
}

/** Starts `ullage serve` (API, worker, private Redis) on a free port; disposing stops all of it. */
export async function startService(options: { guests: string; state: string; signal: AbortSignal }): Promise<Service> {
  const child = spawn(
    process.execPath,
    [bin, 'serve', '--guests', options.guests, '--data', options.state, '--listen', '127.0.0.1:0'],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ULLAGE_STATE_DIR: join(options.state, 'guests') } },
  )
  const ended = once(child, 'exit')
  const said = text(child.stderr)
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await ended
  }
  const abort = () => child.kill('SIGTERM')
  options.signal.addEventListener('abort', abort, { once: true })
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /^serving at (\S+)$/.exec(line)?.[1]
    if (url !== undefined) return { url, [Symbol.asyncDispose]: stop }
  }
  await stop()
  options.signal.throwIfAborted()
  throw new Error(`the service did not start: ${await said}`)
}
