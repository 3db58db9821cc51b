import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type LargeGuestHoles, makeLargeGuest } from '@ullage/lab'

export interface ClassifyFigures {
  /** Milliseconds from an opened guest to the fate of every frame (`ullage pages`), the first time in a process. */
  readonly classifyMs: number
  /** Milliseconds to read the struct pages once, with the same reads into one buffer, afterwards in the same process. */
  readonly readMs: number
  /** CPU milliseconds of `classifyMs`, those of other threads (compilation, garbage collection) included. */
  readonly cpuMs: number
  /** The same of `readMs`. */
  readonly readCpuMs: number
  /** The most memory that the process had resident, in bytes. */
  readonly peakBytes: number
  /** Frames of guest RAM. */
  readonly frames: number
  /** Medians of the rounds after the first, which take turns: classify, read. Not a number without any. */
  readonly warm: Pick<ClassifyFigures, 'classifyMs' | 'readMs' | 'cpuMs' | 'readCpuMs'>
  /** Resident before the guest was opened, in bytes: Node and the program. */
  readonly baseBytes: number
}

export interface MeasureClassifyOptions {
  /** Rounds after the first; none when left out. */
  readonly rounds?: number
  /** `busy` when left out. */
  readonly holes?: LargeGuestHoles
  readonly signal?: AbortSignal
}

/** What the process of its own is told. */
export interface ClassifyCall extends Omit<MeasureClassifyOptions, 'signal'> {
  readonly guest: ReturnType<typeof makeLargeGuest>
}

/**
 * Classifies a synthetic guest of `gib` GiB in a process of its own: hosts, guest's word, plan. The guest lies in a sparse
 * file on tmpfs, 16 MiB a GiB up to 64 GiB, no more above (the struct pages are then the same again). Needs /dev/shm.
 */
export async function measureClassify(
  gib: number,
  { signal, ...call }: MeasureClassifyOptions = {},
): Promise<ClassifyFigures> {
  const folder = await mkdtemp('/dev/shm/ullage-classify-')
  try {
    const guest = makeLargeGuest({ path: join(folder, 'ram'), gib })
    return await inFreshProcess({ guest, ...call }, signal)
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function inFreshProcess(call: ClassifyCall, signal: AbortSignal | undefined): Promise<ClassifyFigures> {
  const main = fileURLToPath(new URL('classify-main.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@ullage/source', main], {
    stdio: ['pipe', 'pipe', 'inherit'],
    ...(signal ? { signal } : {}),
  })
  child.stdin.end(JSON.stringify(call))
  const [output, [status]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  if (status !== 0) throw new Error(`the process that classifies ended with status ${status}`)
  return JSON.parse(output) as ClassifyFigures
}
