import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { wholeNumberSetting } from '@ullage/dump-job'
import { z } from 'zod'
import { readKeyFile } from './key-file.ts'
import { Keyring, type WrappingKey } from './keyring.ts'
import { kmsKey } from './kms-command.ts'
import type { S3Place } from './s3/s3-place.ts'

const DEFAULT_PART_BYTES = 16 * 1024 * 1024

const argv = z.string().transform((text, context) => {
  const parsed = z.array(z.string().min(1)).min(1).safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  context.addIssue({ code: 'custom', message: 'expected a JSON array of program and arguments; no shell runs it' })
  return z.NEVER
})
const nonEmpty = z.string().min(1, 'expected something')

/** The settings that say where artifacts are kept, by the environment variables that hold them. */
const environment = z.object({
  ULLAGE_ARTIFACTS: z
    .string()
    .regex(
      /^(folder:.+|s3:\/\/[a-z0-9][a-z0-9.-]+(\/[A-Za-z0-9._/-]*)?)$/,
      'expected folder:PATH or s3://BUCKET/PREFIX',
    )
    .optional(),
  ULLAGE_ARTIFACTS_DIR: nonEmpty.optional(),
  ULLAGE_SPOOL_DIR: nonEmpty.optional(),
  ULLAGE_S3_ENDPOINT: z.url({ protocol: /^https?$/, error: 'expected http://HOST:PORT or https://HOST' }).optional(),
  ULLAGE_S3_REGION: nonEmpty.default('us-east-1'),
  ULLAGE_S3_PATH_STYLE: z.enum(['true', 'false']).optional(),
  ULLAGE_S3_ACCESS_KEY_FILE: nonEmpty.optional(),
  ULLAGE_S3_SECRET_KEY_FILE: nonEmpty.optional(),
  AWS_ACCESS_KEY_ID: nonEmpty.optional(),
  AWS_SECRET_ACCESS_KEY: nonEmpty.optional(),
  AWS_SESSION_TOKEN: nonEmpty.optional(),
  ULLAGE_S3_SSE: z.enum(['AES256', 'aws:kms']).optional(),
  ULLAGE_S3_PART_BYTES: wholeNumberSetting({ least: 5 * 1024 * 1024, most: 2 ** 30 }).default(DEFAULT_PART_BYTES),
  ULLAGE_S3_TIMEOUT_SECONDS: wholeNumberSetting({ least: 1, most: 3600 }).default(60),
  ULLAGE_S3_ATTEMPTS: wholeNumberSetting({ least: 1, most: 20 }).default(5),
  ULLAGE_KEY_FILE: nonEmpty.optional(),
  ULLAGE_KEY_FILES_OLD: nonEmpty.optional(),
  ULLAGE_KMS_KEY_ID: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'expected the name of a key, without spaces')
    .default('kms'),
  ULLAGE_KMS_WRAP_COMMAND: argv.optional(),
  ULLAGE_KMS_UNWRAP_COMMAND: argv.optional(),
  ULLAGE_KMS_TIMEOUT_SECONDS: wholeNumberSetting({ least: 1, most: 600 }).default(30),
})

type Settings = z.infer<typeof environment>

export interface StoreConfig {
  readonly place: { readonly kind: 'folder'; readonly folder: string } | { readonly kind: 's3'; readonly s3: S3Place }
  readonly keys: Keyring
  /** Where dumps are written that are encrypted or uploaded afterwards; undefined leaves it to the caller. */
  readonly spoolDir: string | undefined
}

/** Settings that are missing or wrong: the message has a line for each. */
export class StoreConfigError extends Error {
  override readonly name = 'StoreConfigError'
}

/** Reads the settings and key files. Throws StoreConfigError, which names each wrong variable and never repeats its value. */
export function readStoreConfig(env: Readonly<Record<string, string | undefined>>): StoreConfig {
  const { data, error } = environment.safeParse(env)
  if (!data)
    throw new StoreConfigError(error.issues.map(({ path, message }) => `${String(path[0])}: ${message}`).join('\n'))
  return {
    place: placeOf(data),
    keys: new Keyring(keysOf(data, env)),
    spoolDir: data.ULLAGE_SPOOL_DIR === undefined ? undefined : resolve(data.ULLAGE_SPOOL_DIR),
  }
}

function placeOf(data: Settings): StoreConfig['place'] {
  const { ULLAGE_ARTIFACTS: artifacts, ULLAGE_ARTIFACTS_DIR: folder } = data
  if (artifacts !== undefined && folder !== undefined) {
    throw new StoreConfigError('ULLAGE_ARTIFACTS and ULLAGE_ARTIFACTS_DIR are both set; expected one of them')
  }
  if (folder !== undefined) return { kind: 'folder', folder: resolve(folder) }
  if (artifacts === undefined) {
    throw new StoreConfigError(
      'ULLAGE_ARTIFACTS_DIR is not set, nor ULLAGE_ARTIFACTS; expected the path of a folder, or s3://BUCKET/PREFIX',
    )
  }
  if (artifacts.startsWith('folder:')) return { kind: 'folder', folder: resolve(artifacts.slice('folder:'.length)) }
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(artifacts) ?? []
  const prefix = path.replace(/\/+$/, '')
  return {
    kind: 's3',
    s3: {
      bucket,
      prefix: prefix === '' ? '' : `${prefix}/`,
      endpoint: data.ULLAGE_S3_ENDPOINT,
      region: data.ULLAGE_S3_REGION,
      pathStyle: (data.ULLAGE_S3_PATH_STYLE ?? String(data.ULLAGE_S3_ENDPOINT !== undefined)) === 'true',
      credentials: credentialsOf(data),
      serverSideEncryption: data.ULLAGE_S3_SSE,
      partBytes: data.ULLAGE_S3_PART_BYTES,
      timeoutMs: data.ULLAGE_S3_TIMEOUT_SECONDS * 1000,
      attempts: data.ULLAGE_S3_ATTEMPTS,
    },
  }
}

function credentialsOf(data: Settings): S3Place['credentials'] {
  const accessKeyId = secretOf('ULLAGE_S3_ACCESS_KEY_FILE', data.ULLAGE_S3_ACCESS_KEY_FILE) ?? data.AWS_ACCESS_KEY_ID
  const secretAccessKey =
    secretOf('ULLAGE_S3_SECRET_KEY_FILE', data.ULLAGE_S3_SECRET_KEY_FILE) ?? data.AWS_SECRET_ACCESS_KEY
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new StoreConfigError(
      'ULLAGE_S3_ACCESS_KEY_FILE and ULLAGE_S3_SECRET_KEY_FILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: expected both of one pair',
    )
  }
  return { accessKeyId, secretAccessKey, sessionToken: data.AWS_SESSION_TOKEN }
}

function secretOf(name: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new StoreConfigError(`${name}: expected a file that can be read: ${reason}`, { cause })
  }
}

function keysOf(data: Settings, env: Readonly<Record<string, string | undefined>>): WrappingKey[] {
  const { ULLAGE_KMS_WRAP_COMMAND: wrap, ULLAGE_KMS_UNWRAP_COMMAND: unwrap } = data
  if ((wrap === undefined) !== (unwrap === undefined)) {
    throw new StoreConfigError('ULLAGE_KMS_WRAP_COMMAND and ULLAGE_KMS_UNWRAP_COMMAND: expected both or none')
  }
  const keys: WrappingKey[] = []
  const read = (name: string, path: string) => {
    try {
      keys.push(readKeyFile(path))
    } catch (cause) {
      throw new StoreConfigError(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
  }
  if (data.ULLAGE_KEY_FILE !== undefined) read('ULLAGE_KEY_FILE', data.ULLAGE_KEY_FILE)
  if (wrap && unwrap) {
    const timeoutMs = data.ULLAGE_KMS_TIMEOUT_SECONDS * 1000
    keys.push(kmsKey({ keyId: data.ULLAGE_KMS_KEY_ID, wrap, unwrap, timeoutMs, env: withoutSecrets(env) }))
  }
  if (data.ULLAGE_KEY_FILE === undefined && !wrap && data.ULLAGE_KEY_FILES_OLD !== undefined) {
    throw new StoreConfigError('ULLAGE_KEY_FILES_OLD: expected a key that encrypts besides those that only decrypt')
  }
  for (const path of data.ULLAGE_KEY_FILES_OLD?.split(':').filter(Boolean) ?? []) read('ULLAGE_KEY_FILES_OLD', path)
  return keys
}

/** What a command that asks a KMS may know: all but our own settings. Its credentials are its own. */
function withoutSecrets(env: Readonly<Record<string, string | undefined>>) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('ULLAGE_')))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Where dumps wait to be encrypted or uploaded unless the settings say otherwise. */
export function spoolFolder(config: StoreConfig, stateDir: string): string {
  return config.spoolDir ?? join(stateDir, 'spool')
}
