import { rm, stat } from 'node:fs/promises'
import type { Delivered, Delivery } from './delivery.ts'
import { sealFile } from './seal-file.ts'

export interface DeliverOptions {
  readonly signal?: AbortSignal
  /** Told stored bytes done, of how many. */
  readonly onProgress?: (done: number, total: number) => void
}

/** Brings the finished file `output` to where `delivery` says, and removes it there where it was only on its way. */
export async function deliver(output: string, delivery: Delivery, options: DeliverOptions = {}): Promise<Delivered> {
  switch (delivery.kind) {
    case 'inPlace':
      return { storedBytes: (await stat(output)).size, parts: [] }
    case 'seal': {
      const storedBytes = await sealFile(output, delivery.path, delivery.sealing, options.signal)
      await rm(output)
      return { storedBytes, parts: [] }
    }
    case 'upload':
      throw new Error('no uploads yet')
  }
}
