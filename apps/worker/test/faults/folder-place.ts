import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs'
import { join } from 'node:path'
import { dumpId, publishedFiles } from '@ullage/dump-job'
import type { ArtifactPlace } from './artifact-place.ts'

/** Of attempts that run, and locks. */
const NO_ARTIFACTS = ['.partial', '.locks']

/** Artifacts in a folder. */
export class FolderPlace implements ArtifactPlace {
  readonly #folder: string
  /** By dump, the folders that were seen to appear under its name, by inode. */
  readonly #published = new Map<string, Set<number>>()
  #watcher: FSWatcher

  constructor(folder: string) {
    this.#folder = folder
    this.#watcher = this.#watch()
  }

  /** To be called after something was mounted there. */
  watchAgain(): void {
    this.#watcher.close()
    this.#watcher = this.#watch()
  }

  begin(): void {
    this.#published.clear()
  }

  async timesPublished(dump: string): Promise<number> {
    return this.#published.get(dump)?.size ?? 0
  }

  async unfinished(succeeded: (dump: string) => boolean): Promise<string[]> {
    const wrong = this.#files('.partial')
    for (const name of readdirSync(this.#folder)) {
      if (NO_ARTIFACTS.includes(name)) continue
      const whole = Object.values(publishedFiles).every(
        (file) => (statSync(join(this.#folder, name, file), { throwIfNoEntry: false })?.size ?? 0) > 0,
      )
      if (!dumpId.safeParse(name).success || !whole || !succeeded(name)) wrong.push(name)
    }
    return wrong
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watcher.close()
  }

  #watch(): FSWatcher {
    return watch(this.#folder, (_event, name) => {
      if (name === null || !dumpId.safeParse(name).success) return
      const found = statSync(join(this.#folder, name), { throwIfNoEntry: false })
      if (!found) return
      const inodes = this.#published.get(name) ?? new Set()
      this.#published.set(name, inodes.add(found.ino))
    })
  }

  #files(under: string): string[] {
    const folder = join(this.#folder, under)
    if (!statSync(folder, { throwIfNoEntry: false })) return []
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.#folder.length + 1))
  }
}
