import { parentPort, workerData } from 'node:worker_threads'
import type { OpenDecompress } from './decompress.ts'
import type { CheckedFile } from './page-checker.ts'
import type { PageTable } from './page-table.ts'
import { type PageFindings, PageVerifier } from './page-verifier.ts'

/** What a checking thread is started with. */
export interface CheckPagesData {
  readonly file: CheckedFile
  /** URL of a module that exports `openDecompress`. */
  readonly decompressModule: string
}

/** Check `table`; undefined: end. */
export type CheckPagesOrder = { readonly id: number; readonly table: PageTable } | undefined

/** Table `id` is done. */
export interface CheckPagesDone {
  readonly id: number
  readonly findings: PageFindings
}

const { file, decompressModule } = workerData as CheckPagesData
const { openDecompress } = (await import(decompressModule)) as { openDecompress: OpenDecompress }
const decompress = openDecompress()
const verifier = new PageVerifier(file, decompress)

parentPort?.on('message', (order: CheckPagesOrder) => {
  if (order) {
    parentPort?.postMessage({ id: order.id, findings: verifier.check(order.table) } satisfies CheckPagesDone)
    return
  }
  decompress[Symbol.dispose]()
  parentPort?.close()
})
