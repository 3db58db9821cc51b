import type { OpenGuest } from '@ullage/offline-query'
import type { HypervSource, OpenHypervOptions } from './hyperv-source.ts'
import { openFiles } from './open-files.ts'

/** Opens a Hyper-V guest whose RAM is in files. Throws OfflineError, or AbortError. */
export async function openHyperv(source: HypervSource, options: OpenHypervOptions): Promise<OpenGuest> {
  return openFiles(source, options)
}
