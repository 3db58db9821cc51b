import type { Era } from '../era.ts'
import type { GuestTruth } from '../guest-truth.ts'
import { parseTruth } from '../parse-truth.ts'
import type { DomainAgent } from './domain-agent.ts'
import { type HeapPage, heapPages, heapScript } from './heap-pages.ts'
import type { XenHost } from './xen-host.ts'

const BOOT_TIMEOUT_MS = 180_000
const ANSWER_TIMEOUT_MS = 120_000

interface Parts {
  readonly name: string
  readonly domainId: number
  readonly type: 'pv' | 'pvh'
  readonly era: Era
  readonly host: XenHost
  readonly agent: DomainAgent
}

/** A guest of an emulated Xen. */
export class XenDomain {
  readonly name: string
  readonly domainId: number
  readonly type: 'pv' | 'pvh'
  readonly era: Era
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.name = parts.name
    this.domainId = parts.domainId
    this.type = parts.type
    this.era = parts.era
    this.#parts = parts
  }

  /** Waits until the guest's init takes commands. */
  ready(): Promise<void> {
    return this.#parts.agent.ready(BOOT_TIMEOUT_MS)
  }

  /** Runs shell lines in the guest (busybox), returns what they printed; throws when they fail. */
  exec(script: string): Promise<string> {
    return this.#parts.agent.exec(script, ANSWER_TIMEOUT_MS)
  }

  /** What the guest's kernel says of itself and of each of its frames, this moment. */
  async truth(): Promise<GuestTruth> {
    return parseTruth(await this.#parts.agent.truth(ANSWER_TIMEOUT_MS))
  }

  /**
   * Has the guest's balloon leave it `targetMiB` and waits until the guest says that it has got there. A PVH guest counts
   * from what its kernel found at boot, some hundred KiB less than it was given (Linux drivers/xen/xen-balloon.c).
   */
  async balloon(targetMiB: number): Promise<void> {
    await this.#parts.host.exec(`xl mem-set ${this.name} ${targetMiB}`)
    await this.exec(`cd /sys/devices/system/xen_memory/xen_memory0
for i in $(seq 600); do
  less=$((${targetMiB * 1024} - $(cat target_kb)))
  [ $less -ge 0 ] && [ $less -lt 1024 ] && [ $(cat info/current_kb) = $(cat target_kb) ] && exit
  usleep 100000
done
echo "wanted ${targetMiB} MiB, have $(cat info/current_kb) KiB, aim at $(cat target_kb) KiB"; exit 1`)
  }

  /**
   * Has a process of the guest hold `frames` pages of text on its heap. Returns them with the frames that the kernel says
   * they lie in, after the guest's own checksum of them has been compared.
   */
  async fillHeap(frames: number): Promise<readonly HeapPage[]> {
    return heapPages(await this.exec(heapScript(frames)), frames)
  }

  async pause(): Promise<void> {
    await this.#parts.host.exec(`xl pause ${this.name}`)
  }

  async unpause(): Promise<void> {
    await this.#parts.host.exec(`xl unpause ${this.name}`)
  }

  /** Saves the guest to a file of the first domain, an image of `xl save`, and leaves it paused. */
  async savePaused(path: string): Promise<void> {
    await this.#write(path, (file) => `xl save -p ${this.name} ${file}`)
  }

  /** Writes a core of the guest to a file of the first domain. For PVH this takes minutes. */
  async dumpCore(path: string): Promise<void> {
    await this.#write(path, (file) => `xl dump-core ${this.name} ${file}`)
  }

  /** xl writes from memory it has mapped of the guest, which the folders shared with this machine do not take: through RAM. */
  async #write(path: string, command: (file: string) => string): Promise<void> {
    const file = `/run/${this.name}.written`
    await this.#parts.host.exec(`${command(file)} && cp ${file} ${path}; status=$?; rm -f ${file}; exit $status`)
  }

  async destroy(): Promise<void> {
    await this.#parts.host.exec(`xl destroy ${this.name}`)
  }
}
