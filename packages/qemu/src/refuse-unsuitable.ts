import { isObject, toObject, toText } from './json-fields.ts'
import { executeIfKnown, readProperty } from './optional-answers.ts'
import { QemuError } from './qemu-error.ts'
import type { CommandOptions, QmpClient } from './qmp-client.ts'

/** States of query-migrate in which no migration runs. Ref: QEMU qapi/migration.json MigrationStatus. */
const QUIET = ['none', 'completed', 'failed', 'cancelled']

/**
 * Throws UNSUITABLE for a guest whose memory cannot be dumped truthfully: one that is still arriving (its holes are pages
 * not here yet), one that is being migrated or snapshot, and one whose memory is encrypted.
 */
export async function refuseUnsuitable(client: QmpClient, options: CommandOptions = {}): Promise<void> {
  const [told, migration, sev, support] = await Promise.all([
    client.execute('query-status', {}, options),
    executeIfKnown(client, 'query-migrate', options),
    executeIfKnown(client, 'query-sev', options),
    readProperty(client, '/machine', 'confidential-guest-support', options),
  ])
  const status = toObject(told, 'query-status')
  if (toText(status.status, 'the status of the guest') === 'inmigrate') {
    throw refusal(client, 'waits for an incoming migration', 'its memory is not here yet; dump it when it has arrived')
  }
  const state = isObject(migration) && typeof migration.status === 'string' ? migration.status : 'none'
  if (!QUIET.includes(state)) {
    throw refusal(client, `is in a migration (${state})`, 'dump it when the migration has ended')
  }
  const encrypted = 'the host sees its memory encrypted; dump it from inside'
  if (isObject(sev) && sev.enabled === true) {
    throw refusal(client, 'is a confidential guest (SEV)', encrypted)
  }
  if (typeof support === 'string' && support !== '') {
    const type = await readProperty(client, support, 'type', options)
    throw refusal(client, `is a confidential guest (${String(type ?? support)})`, encrypted)
  }
}

function refusal(client: QmpClient, found: string, todo: string): QemuError {
  return new QemuError(
    'UNSUITABLE',
    `expected a guest at rest at ${client.socketPath}, found one that ${found}: ${todo}`,
  )
}
