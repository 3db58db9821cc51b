import { runWorker } from '@ullage/worker'
import { readFile } from 'node:fs/promises'
import { z } from 'zod'

/** The project's worker as it is, but that a stub takes the place of the process that dumps. */
await runWorker({
  childModule: new URL('./stub-dump-child.ts', import.meta.url),
  describe: async (path) => z.object({ backend: z.string() }).parse(JSON.parse(await readFile(path, 'utf8'))),
  resumeAbandoned: async () => [],
})
