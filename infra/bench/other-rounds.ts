import { unpackFixture } from '@ullage/lab'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { addOurs, type RoundOptions } from './dump-rounds.ts'
import { keys } from './goals.ts'
import { measureClassify } from './measure-classify.ts'
import { runTimed } from './run-timed.ts'
import { makeSyntheticFiles } from './synthetic-files.ts'
import { ullage, ullageDump } from './ullage.ts'

/** Synthetic guests of these sizes, classified. */
export async function classifyRound(sizes: readonly number[], { samples, signal, say }: RoundOptions): Promise<void> {
  for (const gib of sizes) {
    say(keys.classify(gib))
    const { warm, ...first } = await measureClassify(gib, { rounds: gib > 64 ? 1 : 5, signal })
    samples.add(keys.classify(gib), {
      firstMsPerGib: first.classifyMs / gib,
      classifyMsPerGib: warm.classifyMs / gib,
      readMsPerGib: warm.readMs / gib,
      cpuMs: warm.cpuMs,
      readCpuMs: warm.readCpuMs,
      peakBytes: first.peakBytes,
    })
  }
}

/** Memory is the same each time: once is enough. The guest's struct pages, 1 GiB of them, are what is written. */
export async function dumpOfLargeGuest(options: RoundOptions): Promise<void> {
  const { signal, say } = options
  say(keys.large)
  const folder = mkdtempSync('/dev/shm/ullage-bench-')
  try {
    const descriptor = await makeSyntheticFiles(folder, 1024)
    const output = join(folder, 'large')
    const run = await ullageDump({ guest: descriptor, output, level: 31, codec: 'lzo', verify: true, signal })
    addOurs(keys.large, run, options)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What a user waits for who wants little. */
export async function startRound(options: RoundOptions): Promise<void> {
  const { samples, signal, say } = options
  say(`${keys.node}, ${keys.version}, ${keys.small}`)
  const { descriptor } = await unpackFixture('virtio-v6.12-balloon')
  const folder = mkdtempSync('/dev/shm/ullage-bench-')
  try {
    const node = await runTimed([process.execPath, '-e', '0'], { signal })
    samples.add(keys.node, { wallMs: node.wallMs, cpuMs: node.cpuMs })
    const version = await ullage(['--version'], { signal })
    samples.add(keys.version, { wallMs: version.wallMs, cpuMs: version.cpuMs })
    const output = join(folder, 'small')
    const run = await ullageDump({ guest: descriptor, output, level: 31, codec: 'zstd', verify: true, signal })
    addOurs(keys.small, run, options)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
