import { Readable } from 'node:stream'
import type { OpenArtifact, PublishedArtifacts } from '@ullage/artifact-store'
import { ApiProblem } from './problem.ts'

/** The artifact of a dump that has succeeded. Throws ApiProblem ARTIFACT_GONE, also when it has another size, and StoreError. */
export async function openArtifact(
  published: PublishedArtifacts,
  { id, bytes }: { id: string; bytes: number },
): Promise<OpenArtifact> {
  const artifact = await published.open(id)
  if (!artifact) throw new ApiProblem('ARTIFACT_GONE', `dump ${id} was published, and its files are not there`)
  if (artifact.sizeBytes === bytes) return artifact
  await artifact.close()
  throw new ApiProblem('ARTIFACT_GONE', `expected an artifact of ${bytes} bytes, found ${artifact.sizeBytes}`)
}

/** The bytes [startByte, endByte) as fast as they are taken, in pieces; closes the artifact at the end, however it comes. */
export function streamOf(artifact: OpenArtifact, startByte: number, endByte: number): Readable {
  const gone = new AbortController()
  const bytes = artifact.read(startByte, endByte, gone.signal)
  const stream = Readable.from(bytes, { objectMode: false, highWaterMark: 1 << 20 })
  // Also of a stream that nobody has begun to read.
  stream.once('close', () => {
    gone.abort()
    void artifact.close().catch(() => undefined)
  })
  return stream
}
