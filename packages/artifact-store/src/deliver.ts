import { rm, stat } from 'node:fs/promises'
import type { Delivered, Delivery } from './delivery.ts'
import { sealFile } from './seal-file.ts'

/** Told of a file while it is written. */
export interface WriteFollower {
  /** Whether what was written may leave this host before the file is finished. */
  readonly takesEarly: boolean
  /** The file `path`, which may become so large, is about to be written. */
  begin(file: { readonly path: string; readonly atMostBytes: number }): void
  /** Bytes from `position` on were written, and never will be again. Throws when there is no use in writing on. */
  wrote(position: number, bytes: number): void
}

/** A file on its way to where it is kept. Disposing it stops what is on its way. */
export interface DeliveryUnderWay extends AsyncDisposable {
  /** For whoever writes the file, so that what is finished of it goes meanwhile; undefined where nothing can. */
  readonly follower: WriteFollower | undefined
  /**
   * The file is finished and stands at `output`. Resolves when it is where it is kept. Told stored bytes done, of how many;
   * what `onProgress` throws ends it where the file is encrypted. Throws StoreError.
   */
  finish(output: string, onProgress?: (done: number, total: number) => void): Promise<Delivered>
}

/** Prepares to bring a file to where `delivery` says. */
export async function startDelivery(delivery: Delivery, signal?: AbortSignal): Promise<DeliveryUnderWay> {
  switch (delivery.kind) {
    case 'inPlace':
      return atTheEnd(async (output) => ({ storedBytes: (await stat(output)).size, parts: [] }))
    case 'seal':
      return atTheEnd(async (output, onProgress) => {
        const storedBytes = await sealFile(output, delivery.path, delivery.sealing, { signal, onProgress })
        await rm(output)
        return { storedBytes, parts: [] }
      })
    case 'upload': {
      // Loaded when it is needed: the client is large.
      const { PartUpload } = await import('./s3/upload-parts.ts')
      const upload = new PartUpload(delivery, signal)
      return {
        follower: upload,
        finish: (output, onProgress) => upload.finish(output, onProgress),
        [Symbol.asyncDispose]: () => upload[Symbol.asyncDispose](),
      }
    }
  }
}

function atTheEnd(finish: DeliveryUnderWay['finish']): DeliveryUnderWay {
  return { follower: undefined, finish, [Symbol.asyncDispose]: async () => undefined }
}
