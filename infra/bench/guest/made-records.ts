/**
 * What a busy program keeps in memory, made: lines of a log, JSON documents, binary records with times, numbers and
 * pointers, tables of keys. Each piece has about 64 KiB, and none is like another. The same seed gives the same pieces.
 */
export function* madeRecords(seed: number): Generator<Buffer> {
  const random = randomWords(seed)
  const kinds = [logLines, jsonDocuments, heapRecords, numberTable]
  for (let piece = 0; ; piece++) yield (kinds[piece % kinds.length] as (typeof kinds)[number])(random, piece)
}

type Random = () => number

const PIECE_BYTES = 64 << 10
const WORDS =
  'accept balance batch cache cluster commit connect cursor deliver digest entry epoch fetch filter flush frame grant host index insert join key lease limit merge message metric node offset order packet page parse peer plan probe queue quota range ready record region reply request retry route sample scan schema sector seek segment session shard signal snapshot source split state store stream sync table tenant token trace update user value version volume wait window worker write zone'.split(
    ' ',
  )
const LEVELS = ['INFO', 'INFO', 'INFO', 'DEBUG', 'WARN', 'ERROR']

function logLines(random: Random, piece: number): Buffer {
  const lines: string[] = []
  for (let bytes = 0, at = 1_700_000_000_000 + piece * 60_000; bytes < PIECE_BYTES; at += random() % 250) {
    const line = `${new Date(at).toISOString()} ${pick(LEVELS, random)} [${pick(WORDS, random)}-${random() % 64}] ${pick(WORDS, random)} ${pick(WORDS, random)} id=${hex(random)}${hex(random)} ${pick(WORDS, random)}=${random() % 100_000} took ${((random() % 100_000) / 1000).toFixed(3)} ms\n`
    lines.push(line)
    bytes += line.length
  }
  return Buffer.from(lines.join(''), 'latin1')
}

function jsonDocuments(random: Random): Buffer {
  const documents: string[] = []
  for (let bytes = 0; bytes < PIECE_BYTES; ) {
    const document = JSON.stringify({
      id: `${hex(random)}-${hex(random)}`,
      tenant: `${pick(WORDS, random)}-${random() % 1000}`,
      state: pick(WORDS, random),
      labels: Array.from({ length: random() % 6 }, () => `${pick(WORDS, random)}/${pick(WORDS, random)}`),
      sizes: Array.from({ length: random() % 12 }, () => random() % 1_000_000),
      etag: hex(random) + hex(random) + hex(random),
    })
    documents.push(document)
    bytes += document.length
  }
  return Buffer.from(documents.join('\n'), 'latin1')
}

/** Records as a heap has them: a type, a count, neighbours' addresses, a time, flags, and room that is not used. */
function heapRecords(random: Random, piece: number): Buffer {
  const bytes = Buffer.alloc(PIECE_BYTES)
  const heap = 0x7f0000000000n + (BigInt(random() & 0xffff) << 24n)
  for (let at = 0; at + 96 <= bytes.length; at += 96) {
    bytes.writeBigUInt64LE(0x55d000000000n + BigInt((random() % 40) * 0x180), at)
    bytes.writeUInt32LE(1 + (random() % 3), at + 8)
    bytes.writeUInt32LE(random() & 0x0f0f, at + 12)
    bytes.writeBigUInt64LE(heap + BigInt((random() & 0xffffff) * 16), at + 16)
    bytes.writeBigUInt64LE(heap + BigInt((random() & 0xffffff) * 16), at + 24)
    bytes.writeBigUInt64LE(BigInt(1_700_000_000_000 + piece * 60_000 + at), at + 32)
    bytes.writeDoubleLE(random() / 2 ** 20, at + 40)
    bytes.writeUInt32LE(random(), at + 48)
    bytes.write(pick(WORDS, random), at + 56, 'latin1')
  }
  return bytes
}

function numberTable(random: Random): Buffer {
  const bytes = Buffer.alloc(PIECE_BYTES)
  for (let at = 0, key = random() % 1_000_000; at < bytes.length; at += 16, key += 1 + (random() % 16)) {
    bytes.writeUInt32LE(key, at)
    bytes.writeFloatLE(Math.log1p(random() / 2 ** 16), at + 4)
    bytes.writeInt32LE((random() % 2000) - 1000, at + 8)
    bytes.writeUInt16LE(random() % 400, at + 12)
  }
  return bytes
}

function pick<T>(from: readonly T[], random: Random): T {
  return from[random() % from.length] as T
}

function hex(random: Random): string {
  return random().toString(16).padStart(8, '0')
}

/** Marsaglia's xorshift: 32-bit words, the same for the same seed. */
function randomWords(seed: number): Random {
  let word = (seed ^ 0x9e3779b9) >>> 0 || 1
  return () => {
    word ^= word << 13
    word ^= word >>> 17
    word ^= word << 5
    word >>>= 0
    return word
  }
}
