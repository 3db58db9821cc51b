import type { RamRegion } from './guest-ram.ts'
import { QemuError } from './qemu-error.ts'
import type { CommandOptions, QmpClient } from './qmp-client.ts'

/**
 * Where in QEMU's own address space `region` begins, in bytes, from the human monitor's `gpa2hva`. A backend is one
 * mapping, so the region lies there in one piece. Throws UNEXPECTED_ANSWER when QEMU calls the address anything else than
 * this memory.
 */
export async function hostAddress(client: QmpClient, region: RamRegion, options: CommandOptions = {}): Promise<number> {
  const asked = `0x${region.startBytes.toString(16)}`
  const answer = (await client.humanMonitor(`gpa2hva ${asked}`, options)).trim()
  const [, gpa, name, hva] = /^Host virtual address for (0x[0-9a-f]+) \((.*)\) is (0x[0-9a-f]+)$/.exec(answer) ?? []
  const address = Number(hva)
  const sameName = name === region.name || name === `/objects/${region.name}`
  if (hva === undefined || Number(gpa) !== region.startBytes || !sameName || !Number.isSafeInteger(address)) {
    const expected = `expected the host address of ${region.name} at ${asked} from gpa2hva`
    throw new QemuError('UNEXPECTED_ANSWER', `${expected}, found ${JSON.stringify(answer.slice(0, 120))}`)
  }
  return address
}
