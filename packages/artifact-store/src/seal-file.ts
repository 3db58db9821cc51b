import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import type { Sealing } from './delivery.ts'
import { SLOT_BYTES } from './sealed-format.ts'
import { storedForm } from './stored-form.ts'

const STEP_BYTES = 64 * SLOT_BYTES
const MODE = 0o600

export interface SealOptions {
  readonly signal?: AbortSignal | undefined
  /** Told encrypted bytes written, of how many. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

/** Writes the encrypted form of the file `from` to the new file `to`, and makes it durable. Returns its size. */
export async function sealFile(from: string, to: string, sealing: Sealing, options: SealOptions = {}): Promise<number> {
  const { signal, onProgress } = options
  await using plain = await open(from, 'r')
  await using sealed = await open(to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, MODE)
  const form = storedForm(plain.fd, (await plain.stat()).size, sealing)
  for (let at = 0; at < form.storedBytes; at += STEP_BYTES) {
    signal?.throwIfAborted()
    const end = Math.min(at + STEP_BYTES, form.storedBytes)
    await sealed.writeFile(form.make(at, end))
    onProgress?.(end, form.storedBytes)
    await setImmediate()
  }
  await sealed.sync()
  return form.storedBytes
}
