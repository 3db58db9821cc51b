import { crc32 } from 'node:zlib'
import { checksumOf, corrupt, hex, type Patch, readBytes, type StorageFile, unsupported } from './storage-file.ts'
import type { StorageHeader } from './storage-header.ts'
import { OBJECT_TABLE_OFFSET, REPLAY_LOG_SIGNATURE, ReplayLogEntry, ReplayLogHeader } from './storage-layout.ts'

/** Of the log of one commit: key tables and object tables. Hyper-V's own has room for 145 entries and 8 KiB. */
const MAX_HEADER_BYTES = 1 << 20
const MAX_LOG_BYTES = 64 << 20

/**
 * The writes of a commit that was begun and may not have been finished: the file is what it says once they are made. None
 * when the log is empty; entries of finished commits stay behind in it and do not count. Throws OfflineError: CORRUPT when
 * a checksum of the log, of an entry or of its data is wrong; UNSUPPORTED for a write that reaches the headers, the log
 * itself or beyond the end of the file.
 */
export function readReplayLog(file: StorageFile, header: StorageHeader): Patch[] {
  const { replayLogOffset, replayLogSize, replayLogHeaderSize } = header
  const what = 'the replay log'
  const bytes = readBytes(file, replayLogOffset, ReplayLogHeader.size, what)
  const log = ReplayLogHeader.read(bytes)
  if (log.signature !== REPLAY_LOG_SIGNATURE) {
    throw corrupt(file, `expected ${what} at byte ${replayLogOffset}, found ${hex(log.signature)}`)
  }
  if (checksumOf(bytes, ReplayLogHeader.offsets.checksum) !== log.checksum) {
    throw corrupt(file, `the checksum of ${what} is wrong`)
  }
  if (log.entries === 0) return []
  const room = Math.floor(
    (Math.min(replayLogHeaderSize, MAX_HEADER_BYTES) - ReplayLogHeader.size) / ReplayLogEntry.size,
  )
  if (log.entries > log.maximumEntries || log.entries > room) {
    throw corrupt(file, `${what} counts ${log.entries} entries, it has room for ${Math.min(log.maximumEntries, room)}`)
  }
  if (replayLogSize > BigInt(MAX_LOG_BYTES))
    throw unsupported(file, `a replay log of ${MAX_LOG_BYTES} bytes at most`, `${replayLogSize}`)
  const at = Number(replayLogOffset) + ReplayLogHeader.size
  const entries = readBytes(file, at, log.entries * ReplayLogEntry.size, `the entries of ${what}`)
  const patches: Patch[] = []
  // Each entry has data of its own in the log: together they cannot be more than it is.
  let left = Number(replayLogSize)
  for (let i = 0; i < log.entries; i++) {
    const bytes = entries.subarray(i * ReplayLogEntry.size, (i + 1) * ReplayLogEntry.size)
    left -= ReplayLogEntry.read(bytes).size
    if (left < 0) throw corrupt(file, `the entries of ${what} have more data than its ${replayLogSize} bytes`)
    patches.push(readEntry(file, header, bytes, i))
  }
  return patches
}

function readEntry(file: StorageFile, header: StorageHeader, bytes: Uint8Array, index: number): Patch {
  const entry = ReplayLogEntry.read(bytes)
  const what = `entry ${index} of the replay log`
  if (checksumOf(bytes, ReplayLogEntry.offsets.checksum) !== entry.checksum) {
    throw corrupt(file, `the checksum of ${what} is wrong`)
  }
  const log = { start: header.replayLogOffset, end: header.replayLogOffset + header.replayLogSize }
  const data = { start: log.start + entry.offsetInLog, end: log.start + entry.offsetInLog + BigInt(entry.size) }
  if (data.end > log.end) throw corrupt(file, `the data of ${what} lies outside the log`)
  const target = { start: entry.destination, end: entry.destination + BigInt(entry.size) }
  const found = `${what}, which writes bytes [${target.start}, ${target.end})`
  if (target.start < BigInt(OBJECT_TABLE_OFFSET))
    throw unsupported(file, 'a replay log that keeps off the headers', found)
  if (target.end > BigInt(file.sizeBytes)) throw unsupported(file, 'a replay log that writes inside the file', found)
  if (target.start < log.end && log.start < target.end)
    throw unsupported(file, 'a replay log that keeps off itself', found)
  const sourceBytes = Number(data.start)
  if (crc32(readBytes(file, sourceBytes, entry.size, `the data of ${what}`)) !== entry.dataChecksum) {
    throw corrupt(file, `the checksum of the data of ${what} is wrong`)
  }
  return { startBytes: Number(target.start), sizeBytes: entry.size, sourceBytes }
}
