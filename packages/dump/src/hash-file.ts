import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

const fromSource = import.meta.url.endsWith('.ts')

/** sha256 and size in bytes of a whole file, computed in a thread of its own. Rejects when the file cannot be read. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<{ sha256: string; bytes: number }> {
  const worker = new Worker(new URL(fromSource ? './file-hash-worker.ts' : './file-hash-worker.js', import.meta.url), {
    workerData: { path },
    execArgv: fromSource ? ['--conditions=@ullage/source'] : [],
  })
  try {
    const [message] = (await once(worker, 'message', signal ? { signal } : {})) as [{ sha256: string; bytes: number }]
    return message
  } finally {
    await worker.terminate()
  }
}
