import { readFileSync } from 'node:fs'
import { collectStderr, killAndWait, spawnBound } from './bound-process.ts'
import { GuestAgent } from './guest-agent.ts'
import { LabError } from './lab-error.ts'

const BOOT_TIMEOUT_MS = 180_000

export interface EmulatedHostStart {
  /** What is booted, for errors. */
  readonly what: string
  /** QEMU's command line. */
  readonly argv: readonly string[]
  /** The socket that QEMU connects a serial line of the host's init to. */
  readonly agentSocket: string
  /** The file that QEMU writes the host's console to. */
  readonly console: string
  /** Ends QEMU, with whatever else it holds. */
  readonly cleanup: AsyncDisposableStack
  readonly signal?: AbortSignal | undefined
}

/**
 * Starts a machine under QEMU's software emulation and resolves when its init says that it is ready. Throws a LabError with
 * the end of the console when it does not get there.
 */
export async function startEmulatedHost(
  start: EmulatedHostStart,
): Promise<{ agent: GuestAgent; consoleText: () => string }> {
  const { what, cleanup, signal } = start
  const agent = await GuestAgent.listen(start.agentSocket)
  cleanup.defer(() => agent.close(`${what} was disposed of`))
  const child = spawnBound(start.argv, ['ignore', 'ignore', 'pipe'])
  cleanup.defer(() => killAndWait(child))
  const stderr = collectStderr(child)
  child.on('exit', (code, ended) => agent.close(`QEMU ended with ${ended ?? `status ${code}`}: ${stderr()}`))
  child.on('error', (error) => agent.close(`QEMU cannot be started: ${error.message}`))

  const timeout = AbortSignal.timeout(BOOT_TIMEOUT_MS)
  const given = signal === undefined ? timeout : AbortSignal.any([timeout, signal])
  const stopWaiting = (): void =>
    agent.close(timeout.aborted ? `not ready after ${BOOT_TIMEOUT_MS / 1000} s` : 'interrupted while it was booting')
  given.addEventListener('abort', stopWaiting)
  const consoleText = (): string => readFileSync(start.console, 'latin1')
  await agent.ready.catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new LabError(`${what} did not boot: ${why}\n${consoleText().slice(-2000)}`)
  })
  given.removeEventListener('abort', stopWaiting)
  return { agent, consoleText }
}
