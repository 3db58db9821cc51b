const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `bytes` with a binary unit and at most one decimal: `119.2 MiB`. */
export function humanBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`
}

/** `milliseconds` as `340 ms` or `12.3 s`. */
export function humanTime(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`
}
