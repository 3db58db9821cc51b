import { toCount, toFlag, toList, toObject, toText } from './json-fields.ts'
import { readProperty } from './optional-answers.ts'
import type { CommandOptions, QmpClient } from './qmp-client.ts'

/** One memory backend of a guest (`-object memory-backend-…`, or what -m makes). Sizes in bytes. */
export interface MemoryBackend {
  readonly id: string
  /** QOM type: `memory-backend-file`, `memory-backend-memfd`, `memory-backend-ram`. */
  readonly type: string
  readonly sizeBytes: number
  /** False: what the guest writes lies in private pages of QEMU, never in the file. */
  readonly share: boolean
  /** Path of the file as QEMU was given it; undefined for memfd and anonymous memory. */
  readonly memPath: string | undefined
  /** Where in the file the memory begins. */
  readonly offsetBytes: number
}

/** A virtio-mem device: how much of its memory is plugged in. Sizes in bytes. */
export interface VirtioMemDevice {
  /** Id of its memory backend. */
  readonly memdev: string
  readonly startBytes: number
  readonly maxSizeBytes: number
  readonly pluggedBytes: number
  readonly blockBytes: number
}

/** The memory backends of the guest, from query-memdev and QOM. */
export async function memoryBackends(client: QmpClient, options: CommandOptions = {}): Promise<MemoryBackend[]> {
  const backends: MemoryBackend[] = []
  for (const entry of toList(await client.execute('query-memdev', {}, options), 'query-memdev')) {
    const memdev = toObject(entry, 'an entry of query-memdev')
    // A backend that was made without an id cannot be the name of a range.
    if (memdev.id === undefined) continue
    const id = toText(memdev.id, 'the id of a memory backend')
    const read = (property: string): Promise<unknown> => readProperty(client, `/objects/${id}`, property, options)
    const [memPath, offset, type, share] = await Promise.all([
      read('mem-path'),
      read('offset'),
      read('type'),
      memdev.share ?? read('share'),
    ])
    backends.push({
      id,
      type: toText(type, `the type of ${id}`),
      sizeBytes: toCount(memdev.size, `the size of ${id}`),
      share: toFlag(share, `share of ${id}`),
      memPath: memPath === undefined ? undefined : toText(memPath, `mem-path of ${id}`),
      offsetBytes: offset === undefined ? 0 : toCount(offset, `offset of ${id}`),
    })
  }
  return backends
}

/** The virtio-mem devices of the guest, from query-memory-devices. */
export async function virtioMemDevices(client: QmpClient, options: CommandOptions = {}): Promise<VirtioMemDevice[]> {
  const devices: VirtioMemDevice[] = []
  for (const entry of toList(await client.execute('query-memory-devices', {}, options), 'query-memory-devices')) {
    const device = toObject(entry, 'an entry of query-memory-devices')
    if (device.type !== 'virtio-mem') continue
    const data = toObject(device.data, 'a virtio-mem device')
    devices.push({
      memdev: toText(data.memdev, 'memdev of virtio-mem').replace(/^\/objects\//, ''),
      startBytes: toCount(data.memaddr, 'memaddr of virtio-mem'),
      maxSizeBytes: toCount(data['max-size'], 'max-size of virtio-mem'),
      pluggedBytes: toCount(data.size, 'size of virtio-mem'),
      blockBytes: toCount(data['block-size'], 'block-size of virtio-mem'),
    })
  }
  return devices
}
