import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchOptions } from './bench-options.ts'
import { describeMachine, machineLoad } from './machine.ts'
import { type Results, resultsText } from './results.ts'
import type { Samples } from './samples.ts'

const RESULTS = join(import.meta.dirname, 'results')

/** What a run has measured so far, as the file that holds it. */
export interface ResultsFile {
  readonly path: string
  /** Remembers the load averages of this moment, and returns them. */
  load(): string
  /** Remembers a sentence, once. */
  note(text: string): void
  guest(guest: Results['guest']): void
  /** Replaces the file. */
  write(): Results
}

/** Starts the results of a run; the file is named by the time. */
export function startResults({ rounds }: BenchOptions, samples: Samples): ResultsFile {
  const date = new Date().toISOString()
  const argv = process.argv.slice(2)
  const command = ['npm run bench', ...(argv.length > 0 ? ['--', ...argv] : [])].join(' ')
  const path = join(RESULTS, `${date.replaceAll(':', '-')}.json`)
  const machine = describeMachine()
  const load: string[] = []
  const notes = new Set<string>()
  let guest: Results['guest'] = null
  return {
    path,
    load: () => {
      load.push(machineLoad())
      return load.at(-1) ?? ''
    },
    note: (text) => {
      notes.add(text)
    },
    guest: (found) => {
      guest = found
    },
    write: () => {
      const results: Results = {
        schema: 'ullage.bench/1',
        date,
        command,
        rounds,
        machine,
        guest,
        load: [...load, machineLoad()],
        notes: [...notes],
        samples: samples.toJSON(),
      }
      mkdirSync(RESULTS, { recursive: true })
      writeFileSync(path, resultsText(results))
      return results
    },
  }
}
