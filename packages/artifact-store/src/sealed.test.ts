import { randomBytes, randomUUID } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { decryptFile } from './decrypt-file.ts'
import { startDelivery } from './deliver.ts'
import type { Sealing } from './delivery.ts'
import { readKeyFile } from './key-file.ts'
import { FolderCalls } from './folder-calls.ts'
import { Keyring } from './keyring.ts'
import { kmsKey } from './kms-command.ts'
import { openStored } from './open-sealed.ts'
import { sealFile } from './seal-file.ts'
import { CHUNK_BYTES, plainBytes, sealedBytes, SLOT_BYTES } from './sealed-format.ts'
import { openStoredFile } from './stored-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-sealed-'))
afterAll(() => rmSync(folder, { recursive: true }))

function newKeyFile(bytes = 32, mode = 0o600): string {
  const path = join(folder, randomUUID())
  writeFileSync(path, randomBytes(bytes))
  chmodSync(path, mode)
  return path
}

const keyFile = newKeyFile()
const keys = new Keyring([readKeyFile(keyFile)])

async function seal(content: Buffer, { ring = keys, dump = randomUUID() as string } = {}) {
  const [plain, sealed] = [join(folder, randomUUID()), join(folder, randomUUID())]
  writeFileSync(plain, content)
  const bytes = await sealFile(plain, sealed, (await ring.newSealing(dump)) as Sealing)
  return { sealed, bytes, dump }
}

async function read(path: string, { ring = keys, dump = undefined as string | undefined, range = [0, Infinity] } = {}) {
  const artifact = await openStored(await openStoredFile(path, new FolderCalls(folder)), dump, ring)
  try {
    const pieces: Uint8Array[] = []
    const [start = 0, end = 0] = range
    for await (const piece of artifact.read(start, Math.min(end, artifact.sizeBytes))) pieces.push(piece)
    return Buffer.concat(pieces)
  } finally {
    await artifact.close()
  }
}

/** The file at `path` with other content, under a name of its own. */
function altered(path: string, change: (content: Buffer) => Buffer): string {
  const copy = join(folder, randomUUID())
  writeFileSync(copy, change(readFileSync(path)))
  return copy
}

const sizes = [0, 1, 4095, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 777]

test.each(sizes)('%i bytes come back, whole and by ranges', async (size) => {
  const content = randomBytes(size)
  const { sealed, bytes, dump } = await seal(content)
  expect(bytes).toBe(sealedBytes(size))
  expect(plainBytes(bytes)).toBe(size)
  expect(await read(sealed, { dump })).toEqual(content)
  for (let i = 0; i < 40; i++) {
    const start = Math.floor(Math.random() * (size + 1))
    const end = start + Math.floor(Math.random() * (size - start + 1))
    expect(await read(sealed, { range: [start, end] })).toEqual(content.subarray(start, end))
  }
})

test('whoever waits for the encryption is told how far it is', async () => {
  const [output, path] = [join(folder, randomUUID()), join(folder, randomUUID())]
  writeFileSync(output, Buffer.alloc(200 * CHUNK_BYTES))
  await using underWay = await startDelivery({
    kind: 'seal',
    path,
    sealing: (await keys.newSealing(randomUUID())) as Sealing,
  })
  const told: [number, number][] = []
  const { storedBytes } = await underWay.finish(output, (done, total) => told.push([done, total]))
  expect(told).toEqual([64, 128, 192, 201].map((slots) => [Math.min(slots * SLOT_BYTES, storedBytes), storedBytes]))
})

test('nothing of the content stands in the file', async () => {
  const content = Buffer.alloc(2 * CHUNK_BYTES, 'the guest’s own words ')
  const { sealed } = await seal(content)
  expect(readFileSync(sealed).includes('guest’s own')).toBe(false)
})

test('a range needs no chunk but its own and the last', async () => {
  const content = randomBytes(4 * CHUNK_BYTES)
  const { sealed } = await seal(content)
  const broken = altered(sealed, (bytes) => flip(bytes, SLOT_BYTES + 5))
  expect(await read(broken, { range: [CHUNK_BYTES, 2 * CHUNK_BYTES] })).toEqual(
    content.subarray(CHUNK_BYTES, 2 * CHUNK_BYTES),
  )
  await expect(read(broken, { range: [CHUNK_BYTES - 1, 2 * CHUNK_BYTES] })).rejects.toMatchObject({
    code: 'STORE_CORRUPT',
  })
})

function flip(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] as number) ^ (1 << (at % 8))
  return bytes
}

test('every byte that is flipped is found, be it in header, padding, chunk or tag', async () => {
  const { sealed, bytes } = await seal(randomBytes(40))
  const original = readFileSync(sealed)
  // Every byte of the part that says something and of the chunk, and every 97th of the padding between.
  const places = Array.from({ length: bytes }, (_, at) => at).filter(
    (at) => at < 700 || at >= SLOT_BYTES - 8 || at % 97 === 0,
  )
  const path = join(folder, 'flipped')
  for (const at of places) {
    writeFileSync(path, flip(Buffer.from(original), at))
    // Without the first bytes it is no encrypted file, which is served as it is: its size and digest differ then.
    if (at < 16) expect(await read(path)).toHaveLength(bytes)
    else await expect(read(path), `byte ${at}`).rejects.toMatchObject({ name: 'StoreError' })
    await expect(decryptFile(path, join(folder, 'out'), { keys }), `byte ${at}`).rejects.toMatchObject({
      name: 'StoreError',
    })
  }
  expect(existsSync(join(folder, 'out'))).toBe(false)
  expect(await read(sealed)).toHaveLength(40)
})

const slot = (bytes: Buffer, index: number) => bytes.subarray((index + 1) * SLOT_BYTES, (index + 2) * SLOT_BYTES)

test.each<[string, (bytes: Buffer, other: Buffer) => Buffer]>([
  [
    'two chunks swapped',
    (b) => Buffer.concat([b.subarray(0, SLOT_BYTES), slot(b, 1), slot(b, 0), b.subarray(3 * SLOT_BYTES)]),
  ],
  [
    'a chunk repeated',
    (b) => Buffer.concat([b.subarray(0, SLOT_BYTES), slot(b, 0), slot(b, 0), b.subarray(3 * SLOT_BYTES)]),
  ],
  ['a chunk dropped', (b) => Buffer.concat([b.subarray(0, SLOT_BYTES), b.subarray(2 * SLOT_BYTES)])],
  ['the last chunk dropped', (b) => b.subarray(0, 4 * SLOT_BYTES)],
  ['all but the header dropped', (b) => b.subarray(0, SLOT_BYTES)],
  ['the last byte dropped', (b) => b.subarray(0, b.length - 1)],
  ['a byte appended', (b) => Buffer.concat([b, Buffer.alloc(1)])],
  ['a chunk appended', (b) => Buffer.concat([b.subarray(0, 4 * SLOT_BYTES), slot(b, 0)])],
  [
    'a chunk of another artifact',
    (b, o) => Buffer.concat([b.subarray(0, SLOT_BYTES), slot(o, 0), b.subarray(2 * SLOT_BYTES)]),
  ],
  ['the header of another artifact', (b, o) => Buffer.concat([o.subarray(0, SLOT_BYTES), b.subarray(SLOT_BYTES)])],
  ['the header cut off', (b) => b.subarray(0, 100)],
])('refused: %s', async (_, change) => {
  const content = randomBytes(3 * CHUNK_BYTES + 100)
  const [one, other] = [await seal(content), await seal(content)]
  const path = altered(one.sealed, (bytes) => change(bytes, readFileSync(other.sealed)))
  await expect(read(path)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  await expect(decryptFile(path, join(folder, 'out'), { keys })).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  expect(readdirSync(folder).filter((name) => name.includes('out'))).toEqual([])
})

test('an artifact in the place of another is refused', async () => {
  const { sealed } = await seal(randomBytes(10))
  await expect(read(sealed, { dump: randomUUID() })).rejects.toThrow(/expected the artifact of dump .* found that of/)
})

test('a file is decrypted once, whole, and never over another', async () => {
  const content = randomBytes(2 * CHUNK_BYTES + 5)
  const { sealed } = await seal(content)
  const out = join(folder, 'decrypted')
  expect(await decryptFile(sealed, out, { keys })).toBe(content.length)
  expect(readFileSync(out)).toEqual(content)
  await expect(decryptFile(sealed, out, { keys })).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
  await expect(decryptFile(keyFile, join(folder, 'no'), { keys })).rejects.toThrow(/is not encrypted/)
})

test('an output that cannot be written is said to be so, and nothing is left', async () => {
  const { sealed } = await seal(randomBytes(10))
  for (const [output, message] of [
    [join(folder, 'none', 'out'), `the folder ${join(folder, 'none')} is not there`],
    [join(keyFile, 'out'), `${keyFile} is no folder`],
    [join(folder, 'x'.repeat(250)), 'ENAMETOOLONG'],
  ] as const) {
    await expect(decryptFile(sealed, output, { keys })).rejects.toMatchObject({
      name: 'StoreError',
      code: 'OUTPUT_NOT_WRITABLE',
      message: expect.stringContaining(`${output} cannot be written: ${message}`),
    })
  }
  expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([])
})

test('after a rotation old artifacts are read with the old key, new ones are sealed with the new one', async () => {
  const newer = readKeyFile(newKeyFile())
  const both = new Keyring([newer, readKeyFile(keyFile)])
  const old = await seal(Buffer.from('old'))
  const fresh = await seal(Buffer.from('new'), { ring: both })
  expect(String(await read(old.sealed, { ring: both }))).toBe('old')
  expect(String(await read(fresh.sealed, { ring: both }))).toBe('new')
  await expect(read(fresh.sealed)).rejects.toMatchObject({ code: 'KEY_UNKNOWN' })
})

test.each([
  ['31 bytes', newKeyFile(31), /has 31 bytes/],
  ['33 bytes', newKeyFile(33), /has 33 bytes/],
  ['for everybody to read', newKeyFile(32, 0o644), /mode 644/],
  ['a folder', folder, /not a regular file/],
  ['missing', '/nowhere', /ENOENT/],
])('refuses a key file: %s', (_, path, message) => {
  expect(() => readKeyFile(path)).toThrow(message)
})

const kms = (wrap: string, unwrap = wrap, timeoutMs = 20_000) => {
  const argv = (script: string) => ['/bin/sh', '-c', script]
  return new Keyring([
    kmsKey({ keyId: 'k1', wrap: argv(wrap), unwrap: argv(unwrap), timeoutMs, env: { PATH: process.env.PATH } }),
  ])
}

test('a command wraps and unwraps the data key, and is told which key and which dump', async () => {
  // A stand-in for a KMS: it keeps the key that it is given, and gives a name for it.
  const ring = kms(
    `cat > ${folder}/kms-$ULLAGE_KEY_ID-$ULLAGE_DUMP_ID; echo "$ULLAGE_DUMP_ID"`,
    `cat ${folder}/kms-$ULLAGE_KEY_ID-$(cat)`,
  )
  const { sealed, dump } = await seal(Buffer.from('by kms'), { ring })
  expect(readFileSync(sealed).toString('latin1')).toContain(Buffer.from(`${dump}\n`).toString('base64'))
  expect(String(await read(sealed, { ring }))).toBe('by kms')
})

test.each([
  ['fails', kms('echo no such key >&2; exit 3'), /\/bin\/sh ended with status 3$/],
  ['says nothing', kms('cat > /dev/null'), /answered 0 bytes/],
  ['says too much', kms('head -c 5000 /dev/zero'), /answered 5000 bytes/],
  ['hangs, with a child that holds its pipes', kms('sleep 1000 & wait', '', 300), /within 0.3 s/],
])('a command that %s is said to be so', async (_, ring, message) => {
  await expect(ring.newSealing(randomUUID())).rejects.toThrow(message)
  await expect(ring.newSealing(randomUUID())).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' })
})

test('what a command says on stderr is for the log: the cause of the error, not its message', async () => {
  const ring = kms('echo token s3cr3t is refused >&2; exit 3')
  const error: unknown = await ring.newSealing(randomUUID()).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ message: expect.not.stringContaining('s3cr3t') })
  expect(error).toMatchObject({ cause: { message: 'it said on stderr: token s3cr3t is refused' } })
})
