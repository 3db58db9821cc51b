import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { createZstdDecompress } from 'node:zlib'
import { readFixtureRegions } from './fixture-regions.ts'
import { LabError } from './lab-error.ts'
import type { ByteRange } from './lab-guest.ts'
import type { MemoryRegion } from './memory-view.ts'

/** Writes the RAM files of a packed fixture: only what the host backed, the rest of each file stays a hole. */
export async function unpackRegions(packed: string, partial: string): Promise<void> {
  for (const region of await readFixtureRegions(partial)) {
    await unpackRegion(join(packed, `${basename(region.file)}.zst`), region)
  }
}

async function unpackRegion(source: string, region: MemoryRegion): Promise<void> {
  const file = await open(region.file, 'w')
  try {
    await file.truncate(region.offsetBytes + region.sizeBytes)
    let at = 0
    let next = 0
    const input = createReadStream(source).pipe(createZstdDecompress())
    for await (const chunk of input as AsyncIterable<Uint8Array>) {
      const chunkEnd = at + chunk.length
      for (let i = next; i < region.backedBytes.length; i++) {
        const { startByte, endByte } = region.backedBytes[i] as ByteRange
        const start = Math.max(startByte, at)
        const end = Math.min(endByte, chunkEnd)
        if (end > start) await file.write(chunk, start - at, end - start, start)
        if (endByte > chunkEnd) break
        next = i + 1
      }
      at = chunkEnd
    }
    if (at !== region.offsetBytes + region.sizeBytes) {
      throw new LabError(`${source} unpacks to ${at} bytes, its region needs ${region.offsetBytes + region.sizeBytes}`)
    }
  } finally {
    await file.close()
  }
}
