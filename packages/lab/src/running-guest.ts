import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { dataRanges } from './data-ranges.ts'
import type { Era } from './era.ts'
import type { GuestAgent } from './guest-agent.ts'
import type { GuestTruth } from './guest-truth.ts'
import type { BackedFile, LabGuest } from './lab-guest.ts'
import type { Monitor } from './monitor.ts'
import { parseTruth } from './parse-truth.ts'
import type { GuestFiles } from './qemu-arguments.ts'
import { waitUntil } from './wait-until.ts'

const MIB = 1024 * 1024
const MEMORY_TIMEOUT_MS = 60_000
/** A busy machine takes a minute for no more than this, in MiB. */
const MOVED_IN_A_TIMEOUT_MIB = 256

const Status = z.object({ status: z.string() })
const Balloon = z.object({ actual: z.number() })
const MemoryDevices = z.array(z.object({ type: z.string(), data: z.object({ size: z.number().exactOptional() }) }))

interface Parts {
  readonly era: Era
  readonly pid: number
  readonly files: GuestFiles
  readonly ramFiles: readonly string[]
  readonly hasDisk: boolean
  readonly bootMs: number
  readonly monitor: Monitor
  readonly agent: GuestAgent
  readonly dispose: AsyncDisposableStack
}

/** A guest that has booted. */
export class RunningGuest implements LabGuest {
  readonly era: Era
  readonly pid: number
  readonly qmpSocket: string
  readonly folder: string
  readonly ramFolder: string
  readonly disk: string | undefined
  readonly ramFiles: readonly string[]
  readonly bootMs: number
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.era = parts.era
    this.pid = parts.pid
    this.qmpSocket = parts.files.qmpSocket
    this.folder = parts.files.folder
    this.ramFolder = dirname(parts.files.ram)
    this.disk = parts.hasDisk ? parts.files.disk : undefined
    this.ramFiles = parts.ramFiles
    this.bootMs = parts.bootMs
    this.#parts = parts
  }

  consoleText(): string {
    return readConsole(this.#parts.files)
  }

  qmp(command: string, commandArguments?: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#parts.monitor.command(command, commandArguments)
  }

  async hmp(commandLine: string): Promise<string> {
    return z.string().parse(await this.qmp('human-monitor-command', { 'command-line': commandLine }))
  }

  async balloon(targetMiB: number): Promise<void> {
    let { actual } = Balloon.parse(await this.qmp('query-balloon'))
    const moves = Math.abs(actual - targetMiB * MIB) / MIB
    await this.qmp('balloon', { value: targetMiB * MIB })
    await waitUntil(
      async () => {
        ;({ actual } = Balloon.parse(await this.qmp('query-balloon')))
        return actual === targetMiB * MIB
      },
      {
        what: () => `the guest has ${Math.round(actual / MIB)} MiB, its balloon was asked to leave ${targetMiB} MiB,`,
        timeoutMs: MEMORY_TIMEOUT_MS * Math.max(1, moves / MOVED_IN_A_TIMEOUT_MIB),
      },
    )
  }

  async requestVirtioMem(requestedMiB: number): Promise<void> {
    await this.qmp('qom-set', {
      path: '/machine/peripheral/vmem0',
      property: 'requested-size',
      value: requestedMiB * MIB,
    })
    let size = 0
    await waitUntil(
      async () => {
        const devices = MemoryDevices.parse(await this.qmp('query-memory-devices'))
        size = devices.find((device) => device.type === 'virtio-mem')?.data.size ?? 0
        return size === requestedMiB * MIB
      },
      {
        what: () => `virtio-mem has plugged ${Math.round(size / MIB)} MiB of the ${requestedMiB} MiB it was asked for`,
        timeoutMs: MEMORY_TIMEOUT_MS,
      },
    )
  }

  async truth(): Promise<GuestTruth> {
    return parseTruth(await this.#parts.agent.truth())
  }

  exec(script: string): Promise<string> {
    return this.#parts.agent.exec(script)
  }

  async stop(): Promise<void> {
    await this.qmp('stop')
  }

  async cont(): Promise<void> {
    await this.qmp('cont')
  }

  async status(): Promise<string> {
    return Status.parse(await this.qmp('query-status')).status
  }

  backedRanges(): readonly BackedFile[] {
    return dataRanges(this.ramFiles)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.dispose.disposeAsync()
  }
}

export function readConsole(files: GuestFiles): string {
  return readFileSync(files.console, 'latin1')
}
