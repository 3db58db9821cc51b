import { type JsonObject, toList, toObject, toText } from './json-fields.ts'
import { QemuError } from './qemu-error.ts'
import type { CommandOptions, QmpClient } from './qmp-client.ts'

/**
 * A QOM property, or undefined where the object or the property does not exist. QEMU has no error class for that, only the
 * words "not found".
 */
export async function readProperty(
  client: QmpClient,
  path: string,
  property: string,
  options: CommandOptions = {},
): Promise<unknown> {
  return orUndefined(client, 'qom-get', { path, property }, options)
}

/** What `command` returns, or undefined in a QEMU that was built without it. */
export async function executeIfKnown(
  client: QmpClient,
  command: string,
  options: CommandOptions = {},
): Promise<unknown> {
  try {
    return await client.execute(command, {}, options)
  } catch (error) {
    if (error instanceof QemuError && error.qmpClass === 'CommandNotFound') return undefined
    throw error
  }
}

/** QOM types of the children of each of `paths`, such as `vfio-pci`; a path that does not exist has none. */
export async function childTypes(
  client: QmpClient,
  paths: readonly string[],
  options: CommandOptions = {},
): Promise<string[]> {
  const types: string[] = []
  const lists = await Promise.all(paths.map((path) => orUndefined(client, 'qom-list', { path }, options)))
  for (const list of lists) {
    for (const entry of toList(list ?? [], 'qom-list')) {
      const type = toText(toObject(entry, 'an entry of qom-list').type, 'the type of a property')
      const child = /^child<(.*)>$/.exec(type)?.[1]
      if (child !== undefined) types.push(child)
    }
  }
  return types
}

async function orUndefined(
  client: QmpClient,
  command: string,
  args: JsonObject,
  options: CommandOptions,
): Promise<unknown> {
  try {
    return await client.execute(command, args, options)
  } catch (error) {
    const refused = error instanceof QemuError && error.code === 'COMMAND_FAILED'
    if (refused && (error.qmpClass === 'DeviceNotFound' || /not found/i.test(error.message))) return undefined
    throw error
  }
}
