import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { unpackFixture } from '@ullage/lab'

/** The descriptor of a guest in kept files, with their whole paths. */
export async function keptGuest(): Promise<object> {
  const { descriptor } = await unpackFixture('virtio-v6.12-balloon')
  const at = (name: string) => join(dirname(descriptor), name)
  const { source, ...rest } = JSON.parse(readFileSync(descriptor, 'utf8')) as {
    source: { regions: { file: string }[]; backing: string; notes: string }
  }
  const regions = source.regions.map((region) => ({ ...region, file: at(region.file) }))
  return { ...rest, source: { ...source, regions, backing: at(source.backing), notes: at(source.notes) } }
}
