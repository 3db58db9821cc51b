import type { ArtifactStore, PublishedArtifacts } from './artifact-store.ts'
import { FolderStore } from './folder-store.ts'
import type { StoreConfig } from './store-config.ts'

/** Finished artifacts, to be served and removed. */
export function openPublished({ place, keys }: StoreConfig): PublishedArtifacts {
  if (place.kind === 'folder') return new FolderStore({ folder: place.folder, keys })
  throw new Error('no s3 yet')
}

/** A place that attempts of `host` are made in. */
export function openStore({ place, keys }: StoreConfig, writer: { host: string; spoolDir: string }): ArtifactStore {
  if (place.kind === 'folder') return new FolderStore({ folder: place.folder, keys, writer })
  throw new Error('no s3 yet')
}
