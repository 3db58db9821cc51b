import { addressOf } from '../address.ts'
import type { PageCodec } from './page-codec.ts'

/** Address of the room that `codec.compress` has in `dst`. RangeError when it is less than the codec may need. */
export function roomFor(codec: PageCodec, srcLength: number, dst: Uint8Array, dstOffset: number): number {
  const needed = codec.maxCompressedBytes(srcLength)
  if (!(dst.length - dstOffset >= needed)) {
    throw new RangeError(
      `${codec.name} may need ${needed} bytes for ${srcLength}, found ${dst.length - dstOffset} from offset ${dstOffset}`,
    )
  }
  return addressOf(dst, dstOffset, needed)
}
