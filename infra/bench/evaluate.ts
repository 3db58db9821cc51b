import type { Measured, Row } from './goals.ts'
import { median, type Samples } from './samples.ts'

/** One row of the table, filled in. */
export interface Outcome {
  readonly group: string
  readonly what: string
  readonly peer: string
  readonly unit: Row['unit']
  /** Medians over the rounds. */
  readonly ours: number
  readonly theirs: number
  readonly ratio: number
  /** Of the ratios round by round. */
  readonly lowestRatio: number
  readonly highestRatio: number
  readonly goal: number | null
  /** Bytes of our file by the peer's. */
  readonly bytesRatio: number | null
  readonly bytesGoal: number | null
  /** Whether all that is promised is kept; null where nothing is. */
  readonly met: boolean | null
  readonly picture: string | null
}

/** The rows of which every figure was measured, in the order of the table. */
export function evaluate(rows: readonly Row[], samples: Samples): Outcome[] {
  return rows.flatMap((row) => {
    const ours = valuesOf(row.ours, samples)
    const theirs =
      typeof row.theirs === 'number' ? ours?.map(() => row.theirs as number) : valuesOf(row.theirs, samples)
    if (!ours || !theirs) return []
    const ratio = median(ours) / median(theirs)
    const rounds = ours.slice(0, theirs.length).map((value, round) => value / (theirs[round] ?? Number.NaN))
    const bytes = row.bytes && bytesRatio(row.bytes, samples)
    const kept = [
      ...(row.goal === undefined ? [] : [ratio <= row.goal]),
      ...(row.bytes === undefined || bytes === undefined ? [] : [bytes <= row.bytes.goal]),
    ]
    return {
      group: row.group,
      what: row.what,
      peer: row.peer,
      unit: row.unit,
      ours: median(ours),
      theirs: median(theirs),
      ratio,
      lowestRatio: Math.min(...rounds),
      highestRatio: Math.max(...rounds),
      goal: row.goal ?? null,
      bytesRatio: bytes ?? null,
      bytesGoal: row.bytes?.goal ?? null,
      met: kept.length === 0 ? null : kept.every(Boolean),
      picture: row.picture ?? null,
    }
  })
}

/** One value a round. */
function valuesOf({ of, field, perField }: Measured, samples: Samples): readonly number[] | undefined {
  const parts = of.map((key) => {
    const values = samples.values(key, field)
    const per = perField === undefined ? undefined : samples.values(key, perField)
    if (perField !== undefined && per === undefined) return undefined
    return values?.map((value, round) => value / (per?.[round] ?? 1))
  })
  if (parts.some((part) => part === undefined)) return undefined
  const rounds = Math.min(...parts.map((part) => part?.length ?? 0))
  return Array.from({ length: rounds }, (_, round) => parts.reduce((sum, part) => sum + (part?.[round] ?? 0), 0))
}

function bytesRatio({ ours, theirs }: NonNullable<Row['bytes']>, samples: Samples): number | undefined {
  const [mine, their] = [ours, theirs].map((key) => samples.values(key, 'bytes'))
  return mine && their ? median(mine) / median(their) : undefined
}
