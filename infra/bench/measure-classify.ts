import { mkdtempSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { runTimed } from './run-timed.ts'
import { makeSyntheticFiles } from './synthetic-files.ts'

export interface ClassifyFigures {
  /** From an opened guest to the fate of every frame, as `ullage pages` finds it, in milliseconds. */
  readonly classifyMs: number
  /** To read the struct pages once through the same reader, afterwards in the same process, in milliseconds. */
  readonly readMs: number
  /** CPU time of `classifyMs`, other threads of the process included. */
  readonly cpuMs: number
  /** The most memory the process had resident, in bytes. */
  readonly peakBytes: number
}

const Told = z.object({
  classifyMs: z.number(),
  readMs: z.number(),
  cpuMs: z.number(),
  peakBytes: z.number(),
})

/** Classifies a synthetic guest of `gib` GiB in a process of its own. Its files are on tmpfs: 1 GiB of them at most. */
export async function measureClassify(gib: number, signal: AbortSignal): Promise<ClassifyFigures> {
  const folder = mkdtempSync('/dev/shm/ullage-classify-')
  try {
    const { descriptor, structPages } = await makeSyntheticFiles(folder, gib)
    const program = resolve(import.meta.dirname, 'classify-process.ts')
    const argv = ['--conditions=@ullage/source', program, descriptor, JSON.stringify(structPages)]
    const { stdout } = await runTimed([process.execPath, ...argv], { signal })
    return Told.parse(JSON.parse(stdout))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
