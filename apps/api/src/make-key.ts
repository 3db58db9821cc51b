import { parseArgs } from 'node:util'
import { z } from 'zod'
import { keyEntry, makeKey as make } from './auth/static-keys.ts'

const usage = 'make-key --id ID --scopes SCOPE[,SCOPE] [--tenant TENANT]'

const entryWithoutHash = z.object(keyEntry.shape).omit({ hash: true })

/**
 * Prints a new key, and in a second line its entry for the keys file. Returns the exit status: 0, or 2 when the call is
 * wrong.
 */
export function makeKey(args: readonly string[]): number {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { id: { type: 'string' }, scopes: { type: 'string' }, tenant: { type: 'string' } },
    })
    const asked = entryWithoutHash.parse({
      id: values.id,
      scopes: values.scopes?.split(','),
      ...(values.tenant !== undefined && { tenant: values.tenant }),
    })
    const { key, entry } = make(asked)
    process.stderr.write('the key, which is shown only now, and its entry in "keys" of ULLAGE_AUTH_KEYS_FILE:\n')
    process.stdout.write(`${key}\n${JSON.stringify(entry)}\n`)
    return 0
  } catch (error) {
    const reasons =
      error instanceof z.ZodError
        ? error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; ')
        : error instanceof Error
          ? error.message
          : String(error)
    process.stderr.write(`${reasons}\nusage: ${usage}\n`)
    return 2
  }
}
