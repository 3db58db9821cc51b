import { loadDescriptor, resumeAbandoned } from '@ullage/guests'
import { runWorker } from './run-worker.ts'

// Sources are run as they are, packed packages as JavaScript: this file's own name tells which.
const child = import.meta.url.endsWith('.ts') ? './dump-child.ts' : './dump-child.js'

await runWorker({ childModule: new URL(child, import.meta.url), describe: loadDescriptor, resumeAbandoned })
