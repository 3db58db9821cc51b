const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `bytes` with a binary unit and at most one decimal: `119.2 MiB`. */
export function humanBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  // 1023.95 would be printed as 1024.0.
  while (value >= (unit === 0 ? 1024 : 1023.95) && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`
}

/** `milliseconds` as `340 ms` or `12.3 s`. */
export function humanTime(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`
}

/** What part of `total` `frames` are, as a percentage: never 0 % of something, never 100 % of less than all. */
export function humanShare(frames: number, total: number): string {
  if (frames === 0 || total === 0) return '0 %'
  const percent = (100 * frames) / total
  if (percent < 0.1) return '< 0.1 %'
  if (frames < total && percent > 99.9) return '> 99.9 %'
  return frames === total ? '100 %' : `${percent.toFixed(1)} %`
}
