import type { ArtifactStore, PublishedArtifacts } from './artifact-store.ts'
import { FolderStore } from './folder-store.ts'
import type { StoreConfig } from './store-config.ts'

/** Finished artifacts, to be served and removed. */
export function openPublished(config: StoreConfig): Promise<PublishedArtifacts> {
  return open(config, undefined)
}

/** A place that attempts of `host` are made in. `spoolDir` is theirs alone. */
export function openStore(config: StoreConfig, writer: { host: string; spoolDir: string }): Promise<ArtifactStore> {
  return open(config, writer)
}

async function open({ place, keys }: StoreConfig, writer: { host: string; spoolDir: string } | undefined) {
  if (place.kind === 'folder') return new FolderStore({ folder: place.folder, keys, ...(writer && { writer }) })
  // Loaded when it is needed: the client is large.
  const { S3Store } = await import('./s3/s3-store.ts')
  return new S3Store({ place: place.s3, keys, writer })
}
