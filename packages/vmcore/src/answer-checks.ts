import { parentPort, workerData } from 'node:worker_threads'
import type { OpenDecompress } from './decompress.ts'
import type { CheckedFile } from './page-checker.ts'
import type { PageTable } from './page-table.ts'
import { type PageFindings, PageVerifier } from './page-verifier.ts'

/** Check `table`; undefined: end. */
export type CheckOrder = { readonly id: number; readonly table: PageTable } | undefined

/** Table `id` is done. */
export interface CheckAnswer {
  readonly id: number
  readonly findings: PageFindings
}

/** What a thread does that PageCheckThread has started: all that its module need call. */
export function answerChecks(openDecompress: OpenDecompress): void {
  const port = parentPort
  if (!port) throw new TypeError('only a thread answers')
  const decompress = openDecompress()
  const verifier = new PageVerifier(workerData as CheckedFile, decompress)
  port.on('message', (order: CheckOrder) => {
    if (order) {
      port.postMessage({ id: order.id, findings: verifier.check(order.table) } satisfies CheckAnswer)
      return
    }
    decompress[Symbol.dispose]()
    port.close()
  })
}
