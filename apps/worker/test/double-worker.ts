import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { runWorker } from '../src/run-worker.ts'

/** The worker with a double of the engine, as a process. */
await runWorker({
  childModule: new URL('./engine-double-child.ts', import.meta.url),
  describe: async (path) =>
    z
      .object({ backend: z.string(), tenant: z.string().exactOptional() })
      .parse(JSON.parse(await readFile(path, 'utf8'))),
  resumeAbandoned: async () => [],
})
