import { gunzipSync } from 'node:zlib'
import { answerWithin } from '../answer-within.ts'
import type { GuestAgent } from '../guest-agent.ts'
import { LabError } from '../lab-error.ts'
import type { Monitor } from '../monitor.ts'
import { GUEST_FILES, HOT_ADD_GPA_BYTES, type HypervGuestOptions } from './guest-script.ts'
import type { HypervHost } from './hyperv-host.ts'

const FRAME_BYTES = 4096
const MIB = 1 << 20
/** QEMU asks nothing of a guest until 50 seconds after it has connected. */
const BALLOON_TIMEOUT_S = 240
/** Nested emulation is slow, and now and then it hangs. */
const ANSWER_TIMEOUT_MS = 180_000

interface Parts {
  readonly host: HypervHost
  readonly agent: GuestAgent
  readonly monitor: Monitor
  readonly release: string
  readonly options: HypervGuestOptions
}

/** A run of the guest's frames and one u64 of KPF_* bits for each. */
export interface FrameFlags {
  readonly start: number
  readonly flags: BigUint64Array
}

/** A nested guest with the stock hv_balloon driver. Paths are the host's. */
export class HypervGuest {
  readonly release: string
  readonly qmpSocket = GUEST_FILES.qmp
  readonly trace = GUEST_FILES.trace
  readonly ramFile = GUEST_FILES.ram
  readonly hotAddFile = GUEST_FILES.hotAdd
  readonly #parts: Parts
  /** How often the balloon has come to rest. */
  #rests = 0

  constructor(parts: Parts) {
    this.#parts = parts
    this.release = parts.release
  }

  /** Runs shell lines in the guest (busybox), returns what they printed; throws when they fail. */
  exec(script: string): Promise<string> {
    const { agent } = this.#parts
    return answerWithin(ANSWER_TIMEOUT_MS, agent, agent.exec(script))
  }

  /** Asks QEMU, over a monitor of the lab's own. */
  qmp(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#parts.monitor.command(command, args)
  }

  async status(): Promise<string> {
    const answer = await this.qmp('query-status')
    if (typeof answer === 'object' && answer !== null && 'status' in answer) return String(answer.status)
    throw new LabError(`no status in ${JSON.stringify(answer)}`)
  }

  /** QEMU's log with the trace events of its balloon. */
  traceText(): Promise<string> {
    return this.#parts.host.exec(`cat ${GUEST_FILES.trace}`)
  }

  /** Waits until QEMU has nothing left to ask of the guest. */
  async balloonReady(): Promise<void> {
    await this.#idle(1)
  }

  /** Has the guest shrink or grow to another size in MiB, hot-added memory included, as far as it will. */
  async resize(mib: number): Promise<void> {
    await this.qmp('balloon', { value: mib * MIB })
    await this.#idle(this.#rests + 1)
  }

  /** The flags of the frames of RAM, that set aside for hot-add included, as the guest's kernel says now. */
  async frameFlags(): Promise<readonly FrameFlags[]> {
    const { memMiB, hotAddMiB } = this.#parts.options
    const parts = [
      { start: 0, count: (memMiB * MIB) / FRAME_BYTES },
      { start: HOT_ADD_GPA_BYTES / FRAME_BYTES, count: (hotAddMiB * MIB) / FRAME_BYTES },
    ]
    const read: FrameFlags[] = []
    for (const { start, count } of parts) {
      // Whole pages of the file: 512 frames each.
      const window = `bs=4096 skip=${start / 512} count=${count / 512}`
      const text = await this.exec(`dd if=/proc/kpageflags ${window} 2> /dev/null | gzip | base64`)
      const bytes = new Uint8Array(gunzipSync(Buffer.from(text, 'base64')))
      read.push({ start, flags: new BigUint64Array(bytes.buffer, 0, Math.floor(bytes.length / 8)) })
    }
    return read
  }

  /** What the guest's memory takes on its host, in bytes: of RAM, and of memory for hot-add. */
  async allocatedBytes(): Promise<readonly number[]> {
    const text = await this.#parts.host.exec(`stat -c %b ${GUEST_FILES.ram} ${GUEST_FILES.hotAdd}`)
    return text
      .trim()
      .split('\n')
      .map((blocks) => Number(blocks) * 512)
  }

  /** Waits on the host, so that nothing is asked over and over. */
  async #idle(count: number): Promise<void> {
    const idle = `[ "$(grep -c -- '-> S_IDLE' ${GUEST_FILES.trace})" -ge ${count} ]`
    await this.#parts.host.exec(`turns=0
until ${idle}; do
  turns=$((turns + 1)); [ $turns -gt ${BALLOON_TIMEOUT_S} ] && { tail -n 20 ${GUEST_FILES.trace}; exit 1; }
  sleep 1
done`)
    this.#rests = count
  }
}
