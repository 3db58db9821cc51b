import type { PositionedSink } from '@ullage/vmcore'
import type { ArtifactFollower } from './dump-options.ts'
import type { LocalArtifact } from './local-artifact.ts'

/** The artifact as a sink that tells `follower` of every write once it is done. */
export function followedSink(
  artifact: LocalArtifact,
  follower: ArtifactFollower | undefined,
  atMostBytes: number,
): PositionedSink {
  if (!follower) return artifact
  follower.begin({ path: artifact.partialPath, atMostBytes })
  return {
    async write(bytes, position) {
      const { length } = bytes
      await artifact.write(bytes, position)
      follower.wrote(position, length)
    },
    readBack: (into, position) => artifact.readBack(into, position),
  }
}
