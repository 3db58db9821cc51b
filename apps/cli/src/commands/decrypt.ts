import { decryptFile, Keyring, kmsKey, readKeyFile } from '@ullage/artifact-store'
import { humanBytes } from '../human.ts'
import { parseCall } from '../parse-call.ts'
import { UsageError } from '../usage-error.ts'

const KMS_TIMEOUT_MS = 30_000

/** Every chunk is checked; OUT appears whole or not at all. */
export async function decrypt(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseCall(args, {
    usage: 'ullage decrypt FILE -o OUT (--key-file KEY | --kms-key-id ID --kms-unwrap COMMAND)',
    details:
      'KEY is a file of 32 bytes. COMMAND is a JSON array of program and arguments, such as ["kms","unwrap"]: it is given\n' +
      'the wrapped key on its standard input and ULLAGE_KEY_ID and ULLAGE_DUMP_ID in its environment, and prints the key.',
    operands: ['FILE'],
    options: {
      output: { type: 'string', short: 'o' },
      'key-file': { type: 'string', multiple: true },
      'kms-key-id': { type: 'string' },
      'kms-unwrap': { type: 'string' },
    },
  })
  const from = positionals[0] as string
  const to = values.output
  if (to === undefined) throw new UsageError('-o: expected the path of a new file, found none')
  const keys = (values['key-file'] ?? []).map(readKeyFile)
  const command = values['kms-unwrap']
  if (command !== undefined) {
    const unwrap = argvOf(command)
    const keyId = values['kms-key-id'] ?? 'kms'
    keys.push(kmsKey({ keyId, wrap: unwrap, unwrap, timeoutMs: KMS_TIMEOUT_MS, env: process.env }))
  }
  if (keys.length === 0) throw new UsageError('expected --key-file or --kms-unwrap, found neither')
  const bytes = await decryptFile(from, to, { keys: new Keyring(keys), signal })
  process.stdout.write(`${to}: ${humanBytes(bytes)}, every chunk of it as it was stored\n`)
}

function argvOf(text: string): string[] {
  try {
    const argv: unknown = JSON.parse(text)
    if (Array.isArray(argv) && argv.length > 0 && argv.every((each) => typeof each === 'string')) return argv
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new UsageError('--kms-unwrap: expected a JSON array of program and arguments')
}
