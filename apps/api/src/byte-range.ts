/** Half-open range of bytes [startByte, endByte). */
export interface ByteRange {
  readonly startByte: number
  readonly endByte: number
}

/**
 * The one range that a Range header asks for (RFC 9110, 14.2), of a file of `sizeBytes`. Undefined for no header, and for
 * a unit other than bytes, which the RFC says to ignore; `unsatisfiable` for a header that is malformed, asks for several
 * ranges, or for nothing that there is.
 */
export function parseByteRange(header: string | undefined, sizeBytes: number): ByteRange | undefined | 'unsatisfiable' {
  if (header === undefined || !/^\s*bytes\s*=/i.test(header)) return undefined
  const [, first, last] = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header) ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return 'unsatisfiable'
  if (first === '') {
    const suffix = Math.min(Number(last), sizeBytes)
    return suffix === 0 ? 'unsatisfiable' : { startByte: sizeBytes - suffix, endByte: sizeBytes }
  }
  const startByte = Number(first)
  const endByte = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes)
  return startByte >= endByte ? 'unsatisfiable' : { startByte, endByte }
}
