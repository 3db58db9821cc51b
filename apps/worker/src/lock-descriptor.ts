import { open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { lockFile } from '@ullage/native'

const LOOK_EVERY_MS = 50
/** An attempt that was told to end is killed after 10 s; the next one waits for that, in milliseconds. */
const WAIT_MS = 15_000

/**
 * Holds the guest's descriptor locked until disposed or until this process dies: whatever Redis and the settings of other
 * workers say, one process of this host dumps the guest. Waits a while for one that is ending. Throws an error with the code
 * GUEST_BUSY.
 */
export async function lockDescriptor(path: string, signal: AbortSignal): Promise<AsyncDisposable> {
  const file = await open(path, 'r')
  try {
    const deadline = performance.now() + WAIT_MS
    while (!lockFile(file.fd)) {
      if (performance.now() > deadline) {
        const message = `expected to be the only one that dumps this guest, another process has held its descriptor for ${WAIT_MS / 1000} s`
        throw Object.assign(new Error(message), { code: 'GUEST_BUSY' })
      }
      await delay(LOOK_EVERY_MS, undefined, { signal })
    }
  } catch (error) {
    await file.close()
    throw error
  }
  return { [Symbol.asyncDispose]: () => file.close() }
}
