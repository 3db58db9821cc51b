import { randomUUID } from 'node:crypto'
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { dumpId, dumpReport, publishedFiles, type PublishedReport } from '@ullage/dump-job'
import type { ArtifactStore, Attempt, OpenArtifact, StoredArtifact } from './artifact-store.ts'
import { codeOf, emptyFolder, missing, syncPath } from './files.ts'
import type { Keyring } from './keyring.ts'
import { makeSharedFolder } from './make-shared-folder.ts'
import { openStored } from './open-sealed.ts'
import { openStoredFile } from './stored-file.ts'

const PARTIAL = '.partial'
const REMOVED = '.removed-'
/** How often an attempt shows that it lives, in milliseconds. */
const ALIVE_EVERY_MS = 600_000
/** Of a file that others of the group serve. */
const MODE = 0o640

export interface FolderStoreOptions {
  readonly folder: string
  readonly keys: Keyring
  /** Of a store that attempts are made in. */
  readonly writer?: {
    readonly host: string
    /** Folder for dumps that are still to be encrypted; attempts of this host alone. */
    readonly spoolDir: string
  }
}

/**
 * A folder of finished dumps: `ID/vmcore` and `ID/report.json`. What is not finished is in `.partial/HOST/`, under a name of
 * its own for each attempt, on the same file system; publication is one rename.
 */
export class FolderStore implements ArtifactStore {
  readonly #folder: string
  readonly #keys: Keyring
  readonly #writer: FolderStoreOptions['writer']

  constructor({ folder, keys, writer }: FolderStoreOptions) {
    this.#folder = folder
    this.#keys = keys
    this.#writer = writer
  }

  async prepare(): Promise<void> {
    const { spoolDir } = this.#writing
    await rm(this.#partial, { recursive: true, force: true })
    makeSharedFolder(this.#partial)
    await emptyFolder(spoolDir)
  }

  async report(dump: string): Promise<PublishedReport | undefined> {
    const text = await readFile(this.#path(dump, publishedFiles.report), 'utf8').catch(missing)
    return text === undefined ? undefined : dumpReport.parse(JSON.parse(text))
  }

  async open(dump: string): Promise<OpenArtifact | undefined> {
    const stored = await openStoredFile(this.#path(dump, publishedFiles.artifact)).catch(missing)
    return stored && (await openStored(stored, dump, this.#keys))
  }

  async stat(dump: string): Promise<StoredArtifact | undefined> {
    const found = await stat(this.#path(dump, publishedFiles.artifact)).catch(missing)
    return found && { dump, storedBytes: found.size, publishedMs: found.mtimeMs }
  }

  async remove(dump: string): Promise<void> {
    // What an earlier call could not remove goes as well.
    const doomed = join(this.#folder, `${REMOVED}${dumpId.parse(dump)}`)
    await rm(doomed, { recursive: true, force: true })
    await rename(join(this.#folder, dumpId.parse(dump)), doomed).catch(missing)
    await rm(doomed, { recursive: true, force: true })
  }

  async *list(): AsyncGenerator<StoredArtifact> {
    for (const name of await readdir(this.#folder)) {
      const found = dumpId.safeParse(name).success ? await this.stat(name) : undefined
      if (found) yield found
    }
  }

  /** Attempts of hosts that never started again, and removals that were cut short. */
  async removeOrphans(olderThanMs: number): Promise<number> {
    const before = Date.now() - olderThanMs
    const names = await readdir(this.#folder)
    const doomed = names.filter((name) => name.startsWith(REMOVED)).map((name) => join(this.#folder, name))
    const partial = join(this.#folder, PARTIAL)
    for (const host of (await readdir(partial).catch(missing)) ?? []) {
      const attempts = (await readdir(join(partial, host)).catch(missing)) ?? []
      doomed.push(...attempts.map((name) => join(partial, host, name)))
    }
    let removed = 0
    for (const path of doomed) {
      if ((await lastChange(path)) >= before) continue
      await rm(path, { recursive: true, force: true })
      removed++
    }
    return removed
  }

  async begin(dump: string): Promise<Attempt> {
    const name = `${dumpId.parse(dump)}-${randomUUID()}`
    const folder = join(this.#partial, name)
    const sealing = await this.#keys.newSealing(dump)
    const spool = sealing && join(this.#writing.spoolDir, name)
    // It becomes the published one, which is removed by whoever serves it.
    makeSharedFolder(folder)
    if (spool !== undefined) await mkdir(spool, { recursive: true, mode: 0o750 })
    const artifact = join(folder, publishedFiles.artifact)
    // The engine's file has no name until it is finished, or is in the spool: nothing else tells that the attempt lives.
    const alive = setInterval(() => void touch(folder), ALIVE_EVERY_MS).unref()
    return {
      output: spool === undefined ? artifact : join(spool, publishedFiles.artifact),
      delivery: sealing ? { kind: 'seal', path: artifact, sealing } : { kind: 'inPlace' },
      publish: (report) => this.#publish(dump, folder, report),
      remove: async () => {
        clearInterval(alive)
        for (const each of [folder, spool]) if (each !== undefined) await rm(each, { recursive: true, force: true })
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #publish(dump: string, folder: string, report: PublishedReport): Promise<PublishedReport> {
    const file = await open(join(folder, publishedFiles.report), 'w', MODE)
    try {
      // The engine's own may stand there, which is its owner's alone.
      await file.chmod(MODE)
      await file.writeFile(`${JSON.stringify(report, null, 2)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await chmod(join(folder, publishedFiles.artifact), MODE)
    await syncPath(join(folder, publishedFiles.artifact))
    await syncPath(folder)
    try {
      await rename(folder, join(this.#folder, dump))
    } catch (error) {
      const other = codeOf(error) === 'ENOTEMPTY' || codeOf(error) === 'EEXIST'
      const published = other ? await this.report(dump) : undefined
      if (!published) throw error
      return published
    }
    await syncPath(this.#folder)
    return report
  }

  get #writing(): NonNullable<FolderStoreOptions['writer']> {
    if (!this.#writer) throw new RangeError('this store was opened for reading')
    return this.#writer
  }

  get #partial(): string {
    return join(this.#folder, PARTIAL, this.#writing.host)
  }

  #path(dump: string, file: string): string {
    return join(this.#folder, dumpId.parse(dump), file)
  }
}

/** A folder that cannot be touched was published or removed; or the next time it can. */
async function touch(folder: string): Promise<void> {
  const now = new Date()
  await utimes(folder, now, now).catch(() => undefined)
}

/** When something in a folder changed last, in milliseconds. */
async function lastChange(folder: string): Promise<number> {
  const paths = [folder, ...((await readdir(folder).catch(missing)) ?? []).map((name) => join(folder, name))]
  const stats = await Promise.all(paths.map((path) => stat(path).catch(missing)))
  return Math.max(0, ...stats.map((found) => found?.mtimeMs ?? 0))
}
