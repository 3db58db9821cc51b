import { toObject, toText } from './json-fields.ts'
import type { CommandOptions, QmpClient } from './qmp-client.ts'

/** The architecture that this QEMU emulates, in its own words: `x86_64`, `aarch64`. */
export async function queryTarget(client: QmpClient, options: CommandOptions = {}): Promise<string> {
  return toText(toObject(await client.execute('query-target', {}, options), 'query-target').arch, 'the architecture')
}
