import { statfs } from 'node:fs/promises'
import type { Logger } from 'pino'
import type { WorkerConfig } from './worker-config.ts'

/** Says of which folders that dumps are written to the disk is smaller than what is to stay free on it: no dump is made there. */
export async function warnOfSmallDisks(
  { store, spoolDir, keepFreeBytes }: Pick<WorkerConfig, 'store' | 'spoolDir' | 'keepFreeBytes'>,
  log: Pick<Logger, 'warn'>,
): Promise<void> {
  const { place, keys } = store
  const folders = [
    ...(place.kind === 'folder' ? [place.folder] : []),
    ...(place.kind === 's3' || keys.encrypts ? [spoolDir] : []),
  ]
  for (const folder of folders) {
    const { blocks, bsize } = await statfs(folder)
    if (blocks * bsize > keepFreeBytes) continue
    const why = `its disk has ${blocks * bsize} bytes, of which ${keepFreeBytes} are to stay free (ULLAGE_FREE_BYTES)`
    log.warn({ folder }, `no dump can be written there: ${why}`)
  }
}
