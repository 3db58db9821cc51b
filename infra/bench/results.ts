import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { evaluate, type Outcome } from './evaluate.ts'
import { ROWS } from './goals.ts'
import { Samples } from './samples.ts'

const Kept = z.object({
  schema: z.literal('ullage.bench/1'),
  date: z.string(),
  command: z.string(),
  rounds: z.number(),
  machine: z.object({
    commit: z.string().default('unknown'),
    cpu: z.string(),
    cores: z.number(),
    memoryBytes: z.number(),
    kernel: z.string(),
    node: z.string(),
    qemu: z.string(),
    makedumpfile: z.string(),
  }),
  /** Of the guest that was dumped; null where none was. */
  guest: z
    .object({
      kernel: z.string(),
      memMiB: z.number(),
      balloonMiB: z.number(),
      backedPages: z.number(),
      nonZeroPages: z.number(),
      lzoRatio: z.number(),
      duplicateShare: z.number(),
      realBytes: z.number(),
      madeBytes: z.number(),
    })
    .nullable(),
  /** Load averages before each round and at the end. */
  load: z.array(z.string()),
  /** What our own dumps warned of. */
  notes: z.array(z.string()),
  samples: z.record(z.string(), z.array(z.record(z.string(), z.number()))),
})

/** Everything that was measured. The table is made from it, so that goals can change without measuring again. */
export type Results = z.infer<typeof Kept>

export function readResults(path: string): Results {
  return Kept.parse(JSON.parse(readFileSync(path, 'utf8')))
}

export function outcomesOf(results: Results): Outcome[] {
  return evaluate(ROWS, new Samples(results.samples))
}

/** As JSON, with the table beside the samples for whoever wants only that. */
export function resultsText(results: Results): string {
  return `${JSON.stringify({ ...results, table: outcomesOf(results) }, null, 1)}\n`
}
