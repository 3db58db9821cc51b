import type { FaultResult } from './fault.ts'

/** One row of the table: all times that one fault was tried. */
export interface FaultRow {
  readonly fault: string
  readonly tried: number
  readonly guestsLeftPaused: number
  readonly partialArtifacts: number
  readonly jobsLost: number
  readonly doublePublications: number
  /** Times at which anything was not as it has to be, these figures or another. */
  readonly timesWrong: number
}

/** A row for each fault, in the order in which they were tried first. */
export function faultRows(results: readonly FaultResult[]): FaultRow[] {
  return [...Map.groupBy(results, ({ fault }) => fault)].map(([fault, times]) => {
    const sum = (figure: (time: FaultResult) => number) => times.reduce((total, time) => total + figure(time), 0)
    return {
      fault,
      tried: times.length,
      guestsLeftPaused: sum((time) => time.guestsLeftPaused),
      partialArtifacts: sum((time) => time.partialArtifacts),
      jobsLost: sum((time) => time.jobsLost),
      doublePublications: sum((time) => time.doublePublications),
      timesWrong: sum((time) => (time.wrong.length > 0 ? 1 : 0)),
    }
  })
}

/** The rows as a Markdown table. */
export function faultTable(rows: readonly FaultRow[]): string {
  const head = ['fault', 'times tried', 'guests left paused', 'partial artifacts', 'jobs lost', 'double publications']
  const lines = rows.map((row) => [
    row.timesWrong > 0 ? `${row.fault} (wrong ${row.timesWrong} times)` : row.fault,
    ...[row.tried, row.guestsLeftPaused, row.partialArtifacts, row.jobsLost, row.doublePublications].map(String),
  ])
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'))
  return [head, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
