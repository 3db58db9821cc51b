/** Frames as [start, count]. */
export type Pair = readonly [number, number]

/** A message as it stands on the wire, put together word by word: 32-bit little-endian words after type, size, trans_id. */
export function dmBytes(type: number, words: readonly number[], ranges: readonly Pair[] = []): Uint8Array {
  const bytes = new Uint8Array(8 + 4 * words.length + 8 * ranges.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, type, true)
  view.setUint16(2, bytes.length, true)
  view.setUint32(4, 7, true)
  words.forEach((word, i) => view.setUint32(8 + 4 * i, word, true))
  ranges.forEach(([start, count], i) => {
    const at = 8 + 4 * words.length + 8 * i
    view.setUint32(at, start % 2 ** 32, true)
    view.setUint32(at + 4, ((count << 8) | Math.floor(start / 2 ** 32)) >>> 0, true)
  })
  return bytes
}

export const versionRequest = (major: number, minor: number) => dmBytes(1, [(major * 65_536 + minor) >>> 0, 0])
export const versionResponse = (isAccepted = true) => dmBytes(2, [isAccepted ? 1 : 0, 0])
export const capabilitiesReport = (caps = 0x1f) => dmBytes(3, [caps, 0, 0, 0, 0xffff_ffff, 0xffff_ffff])
export const capabilitiesResponse = (flags = 1) => dmBytes(4, [flags, 0])
export const statusReport = (available: number, committed: number) =>
  dmBytes(5, [available, 0, committed, 0, 0, 0, 0, 0, 0, 0])
export const balloonRequest = (pages: number) => dmBytes(6, [pages, 0])
export const balloonResponse = (ranges: readonly Pair[], more = false) =>
  dmBytes(7, [0, ((ranges.length << 1) | (more ? 1 : 0)) >>> 0], ranges)
export const unballoonRequest = (ranges: readonly Pair[], more = false) =>
  dmBytes(8, [more ? 1 : 0, ranges.length], ranges)
export const unballoonResponse = () => dmBytes(9, [])
export const hotAddRequest = (range: Pair, region?: Pair) => dmBytes(10, [], region ? [range, region] : [range])
export const hotAddResponse = (pages: number, result = 1) => dmBytes(11, [pages, result])
export const info = (maxPages: number) => dmBytes(12, [0, 16, 0, 8, maxPages, 0])
export const hotRemoveRequest = (pages: number) => dmBytes(13, [0, pages, 0, 0])
export const hotRemoveResponse = (ranges: readonly Pair[]) => dmBytes(14, [1, ranges.length, 0, 0], ranges)
