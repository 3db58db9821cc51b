import { toCount, toList, toObject, toText } from './json-fields.ts'
import { childTypes } from './optional-answers.ts'
import type { CommandOptions, QmpClient } from './qmp-client.ts'

/** What QEMU tells of its hv-balloon device, the Dynamic Memory host for guests with vmbus. Sizes in bytes. */
export interface HvBalloonReport {
  /** Memory set aside for hot-add: how much of it has been added QEMU does not tell. Undefined without a `memdev`. */
  readonly hotAdd: { readonly memdev: string; readonly startBytes: number; readonly maxSizeBytes: number } | undefined
  /** RAM at boot and DIMMs: memory of the guest that is not hot-added by the device. */
  readonly fixedBytes: number
  /** Fixed and hot-added memory without what is ballooned out and given back to the host (query-balloon). */
  readonly actualBytes: number
}

/** Ref: QEMU hw/hyperv/hv-balloon.c, qapi/machine.json. Undefined for a guest without such a device. */
export async function hvBalloonReport(
  client: QmpClient,
  options: CommandOptions = {},
): Promise<HvBalloonReport | undefined> {
  const types = await childTypes(client, ['/machine/peripheral', '/machine/peripheral-anon'], options)
  if (!types.includes('hv-balloon')) return undefined
  const ask = (command: string): Promise<unknown> => client.execute(command, {}, options)
  const summary = toObject(await ask('query-memory-size-summary'), 'query-memory-size-summary')
  let fixedBytes = toCount(summary['base-memory'], 'base-memory')
  let hotAdd: HvBalloonReport['hotAdd']
  for (const entry of toList(await ask('query-memory-devices'), 'query-memory-devices')) {
    const device = toObject(entry, 'an entry of query-memory-devices')
    const data = toObject(device.data, 'a memory device')
    if (device.type === 'dimm') fixedBytes += toCount(data.size, 'size of a dimm')
    // Without an address it has no memory, or none yet.
    if (device.type !== 'hv-balloon' || data.memdev === undefined || data.memaddr === undefined) continue
    hotAdd = {
      memdev: toText(data.memdev, 'memdev of hv-balloon').replace(/^\/objects\//, ''),
      startBytes: toCount(data.memaddr, 'memaddr of hv-balloon'),
      maxSizeBytes: toCount(data['max-size'], 'max-size of hv-balloon'),
    }
  }
  const balloon = toObject(await ask('query-balloon'), 'query-balloon')
  return { hotAdd, fixedBytes, actualBytes: toCount(balloon.actual, 'actual of query-balloon') }
}
