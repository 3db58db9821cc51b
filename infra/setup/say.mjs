const started = performance.now()

/** One line of progress, with the seconds since set-up began. */
export function say(text) {
  const seconds = ((performance.now() - started) / 1000).toFixed(0).padStart(4)
  process.stderr.write(`set-up ${seconds} s  ${text}\n`)
}

/** A line that must not be missed. */
export function warn(text) {
  process.stderr.write(`set-up WARNING  ${text}\n`)
}

/** Bytes as a newcomer reads them. */
export function megabytes(bytes) {
  return bytes < 1e6 ? 'less than 1 MB' : `${Math.round(bytes / 1e6)} MB`
}
