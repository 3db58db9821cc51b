import { badSave, unreadSave } from './bad-save.ts'
import { readImageHeader } from './save-header.ts'
import { LIBXL_REC, MAX_RECORD_BYTES, REC, REC_OPTIONAL } from './save-layout.ts'
import type { SaveReader, SaveRecord } from './save-reader.ts'
import { SavedDomain } from './saved-domain.ts'
import { Turns } from './turns.ts'

/**
 * Goes through libxl's stream, from the first record to END, and through libxc's stream in it. Throws OfflineError: CORRUPT
 * or UNSUPPORTED; AbortError.
 */
export async function readSavedDomain(reader: SaveReader, signal: AbortSignal | undefined): Promise<SavedDomain> {
  const turns = new Turns(signal)
  let domain: SavedDomain | undefined
  let inCheckpoint = false
  for (;;) {
    await turns.take()
    const record = reader.record('the libxl header')
    const at = `at byte ${record.startBytes}`
    switch (record.type) {
      case LIBXL_REC.end:
        if (domain && !inCheckpoint) return domain
        throw badSave(reader.path, `libxl's stream ends ${at} ${domain ? 'inside a checkpoint' : 'without a domain'}`)
      case LIBXL_REC.libxcContext:
        if (domain) throw badSave(reader.path, `there is a second domain ${at}`)
        reader.leave(record)
        domain = new SavedDomain(readImageHeader(reader))
        inCheckpoint = await readDomainRecords(reader, domain, turns)
        continue
      case LIBXL_REC.checkpointEnd:
        if (!domain || !inCheckpoint) throw badSave(reader.path, `CHECKPOINT_END ${at} ends no checkpoint`)
        reader.leave(record)
        inCheckpoint = await readDomainRecords(reader, domain, turns)
        continue
      case LIBXL_REC.emulatorContext:
      case LIBXL_REC.emulatorXenstoreData:
      case LIBXL_REC.checkpointState:
        break
      default:
        refuseUnknown(reader, record, "libxl's stream")
    }
    reader.leave(record)
  }
}

/** Reads libxc's records up to the next END or CHECKPOINT. Returns whether it was a checkpoint. */
async function readDomainRecords(reader: SaveReader, domain: SavedDomain, turns: Turns): Promise<boolean> {
  for (;;) {
    await turns.take()
    const record = reader.record('the libxc header')
    if (record.sizeBytes > MAX_RECORD_BYTES) {
      throw badSave(
        reader.path,
        `expected records of ${MAX_RECORD_BYTES} bytes at most, the one at byte ${record.startBytes} has ${record.sizeBytes}`,
      )
    }
    if (record.type !== REC.end && record.type !== REC.checkpoint) domain.add(reader, record)
    reader.leave(record)
    if (record.type === REC.end) return false
    if (record.type === REC.checkpoint) return true
  }
}

function refuseUnknown(reader: SaveReader, record: SaveRecord, stream: string): void {
  if (record.type >= REC_OPTIONAL) return
  const type = `0x${record.type.toString(16)}`
  throw unreadSave(
    reader.path,
    `the record of ${stream} at byte ${record.startBytes} has the type ${type}, which is not known and may not be skipped`,
  )
}
