/** Pixels of the smallest layer. */
const LEAST = 2

/** What is drawn of one combination in a cell: `height` pixels. */
export interface Layer {
  readonly combination: number
  readonly height: number
}

/**
 * Shares `height` pixels out among the combinations in `counts`, by their number of frames, in the order of `order`. Whatever
 * is there gets at least two pixels, or one where there is no room for that, so that nothing rare is lost. Where there are more combinations than pixels those with the
 * fewest frames get none. `full` is the number of frames of a cell: one that is not all guest RAM is not filled.
 */
export function stackCell(
  counts: Float64Array,
  { order, height, full }: { order: readonly number[]; height: number; full: number },
): Layer[] {
  const present = order.filter((combination) => (counts[combination] as number) > 0)
  const total = present.reduce((sum, combination) => sum + (counts[combination] as number), 0)
  if (total === 0) return []
  const pixels = Math.max(1, Math.round((height * total) / full))
  const kept = new Set(
    [...present].sort((a, b) => (counts[b] as number) - (counts[a] as number)).slice(0, Math.max(pixels, 1)),
  )
  const least = kept.size * LEAST <= pixels ? LEAST : 1
  const layers = present
    .filter((combination) => kept.has(combination))
    .map((combination) => {
      const exact = (pixels * (counts[combination] as number)) / total
      return { combination, exact, height: Math.max(least, Math.floor(exact)) }
    })
  let rest = pixels - layers.reduce((sum, layer) => sum + layer.height, 0)
  // What is missing goes to those that lost most by rounding; what is too much is taken from the largest.
  const byLoss = [...layers].sort((a, b) => b.exact - b.height - (a.exact - a.height))
  for (let i = 0; rest > 0; i++, rest--) (byLoss[i % byLoss.length] as { height: number }).height++
  for (; rest < 0; rest++) layers.reduce((a, b) => (b.height > a.height ? b : a)).height--
  return layers.map(({ combination, height: own }) => ({ combination, height: own }))
}
