import { randomUUID } from 'node:crypto'
import { chmod, mkdir, open, readdir, readFile, rename, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { dumpId, dumpReport, makeFolder, publishedFiles, type PublishedReport, unlessAborted } from '@ullage/dump-job'
import type { ArtifactStore, Attempt, OpenArtifact, StoredArtifact } from './artifact-store.ts'
import { codeOf, emptyFolder, missing, removeTree, syncPath } from './files.ts'
import { ANSWER_WITHIN_MS, FolderCalls } from './folder-calls.ts'
import type { Keyring } from './keyring.ts'
import { makeSharedFolder } from './make-shared-folder.ts'
import { openStored } from './open-sealed.ts'
import { StoreError } from './store-error.ts'
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
  /** How long the file system may take for one call, in milliseconds; left out, 10 s. */
  readonly answerWithinMs?: number
}

/**
 * A folder of finished dumps: `ID/vmcore` and `ID/report.json`. What is not finished is in `.partial/HOST/`, under a name of
 * its own for each attempt, on the same file system; publication is one rename.
 *
 * A file system that does not answer is STORE_UNAVAILABLE. Publication alone waits as long as it takes: to make a large
 * artifact durable is slow on many a disk, and a rename that was ordered is either made or not.
 */
export class FolderStore implements ArtifactStore {
  readonly #folder: string
  readonly #keys: Keyring
  readonly #writer: FolderStoreOptions['writer']
  readonly #calls: FolderCalls
  /** The spool is on another file system. */
  readonly #spoolCalls: FolderCalls
  readonly #answerWithinMs: number

  constructor({ folder, keys, writer, answerWithinMs = ANSWER_WITHIN_MS }: FolderStoreOptions) {
    this.#folder = folder
    this.#keys = keys
    this.#writer = writer
    this.#answerWithinMs = answerWithinMs
    this.#calls = new FolderCalls(folder, { answerWithinMs })
    this.#spoolCalls = new FolderCalls(writer?.spoolDir ?? folder, { answerWithinMs, mostUnderWay: 1 })
  }

  makePlace(withinMs: number): Promise<void> {
    return this.#calls.ask(() => makeFolder(this.#folder), { withinMs })
  }

  async prepare(): Promise<void> {
    const { spoolDir } = this.#writing
    await removeTree(this.#partial, this.#calls)
    await this.#makeShared(this.#partial)
    await emptyFolder(spoolDir, this.#spoolCalls)
  }

  async report(dump: string, signal?: AbortSignal): Promise<PublishedReport | undefined> {
    const path = this.#path(dump, publishedFiles.report)
    const text = await this.#calls.ask(() => readFile(path, 'utf8').catch(missing), { signal })
    if (text === undefined) return undefined
    try {
      return dumpReport.parse(JSON.parse(text))
    } catch (cause) {
      throw new StoreError('STORE_CORRUPT', `expected the report of dump ${dump} in ${path}, found what is none`, {
        cause,
      })
    }
  }

  async open(dump: string): Promise<OpenArtifact | undefined> {
    const stored = await openStoredFile(this.#path(dump, publishedFiles.artifact), this.#calls).catch(missing)
    return stored && (await openStored(stored, dump, this.#keys))
  }

  async stat(dump: string): Promise<StoredArtifact | undefined> {
    const path = this.#path(dump, publishedFiles.artifact)
    const found = await this.#calls.ask(() => stat(path).catch(missing))
    return found && { dump, storedBytes: found.size, publishedMs: found.mtimeMs }
  }

  async remove(dump: string): Promise<void> {
    // What an earlier call could not remove goes as well.
    const doomed = join(this.#folder, `${REMOVED}${dumpId.parse(dump)}`)
    await removeTree(doomed, this.#calls)
    await this.#calls.ask(() => rename(join(this.#folder, dumpId.parse(dump)), doomed).catch(missing))
    await removeTree(doomed, this.#calls)
  }

  async *list(): AsyncGenerator<StoredArtifact> {
    for (const name of await this.#calls.ask(() => readdir(this.#folder))) {
      const found = dumpId.safeParse(name).success ? await this.stat(name) : undefined
      if (found) yield found
    }
  }

  /** Attempts of hosts that never started again, and removals that were cut short. */
  async removeOrphans(olderThanMs: number): Promise<number> {
    const before = Date.now() - olderThanMs
    const names = await this.#calls.ask(() => readdir(this.#folder))
    const doomed = names.filter((name) => name.startsWith(REMOVED)).map((name) => join(this.#folder, name))
    const partial = join(this.#folder, PARTIAL)
    for (const host of await this.#namesIn(partial)) {
      const attempts = await this.#namesIn(join(partial, host))
      doomed.push(...attempts.map((name) => join(partial, host, name)))
    }
    let removed = 0
    for (const path of doomed) {
      if ((await this.#lastChange(path)) >= before) continue
      await removeTree(path, this.#calls)
      removed++
    }
    return removed
  }

  async begin(dump: string, signal?: AbortSignal): Promise<Attempt> {
    const name = `${dumpId.parse(dump)}-${randomUUID()}`
    const folder = join(this.#partial, name)
    const sealing = await unlessAborted(this.#keys.newSealing(dump), signal)
    const spool = sealing && join(this.#writing.spoolDir, name)
    // It becomes the published one, which is removed by whoever serves it.
    await this.#makeShared(folder, signal)
    if (spool !== undefined)
      await this.#spoolCalls.ask(() => mkdir(spool, { recursive: true, mode: 0o750 }), { signal })
    const artifact = join(folder, publishedFiles.artifact)
    // The engine's file has no name until it is finished, or is in the spool: nothing else tells that the attempt lives.
    const alive = setInterval(() => void this.#touch(folder), ALIVE_EVERY_MS).unref()
    return {
      output: spool === undefined ? artifact : join(spool, publishedFiles.artifact),
      delivery: sealing ? { kind: 'seal', path: artifact, sealing } : { kind: 'inPlace' },
      publish: (report, _delivered, told) => this.#publish({ dump, folder, report, signal: told }),
      remove: async (told) => {
        clearInterval(alive)
        // The spool first: it is on a disk of this host, and what is in it is not encrypted.
        if (spool !== undefined) await removeTree(spool, this.#spoolCalls, told)
        await removeTree(folder, this.#calls, told)
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #publish({ dump, folder, report, signal }: Publication): Promise<PublishedReport> {
    await unlessAborted(makeDurable(folder, report), signal)
    try {
      await rename(folder, join(this.#folder, dump))
    } catch (error) {
      const other = codeOf(error) === 'ENOTEMPTY' || codeOf(error) === 'EEXIST'
      const published = other ? await this.report(dump, signal) : undefined
      if (!published) throw error
      return published
    }
    await syncPath(this.#folder)
    return report
  }

  #makeShared(path: string, signal?: AbortSignal): Promise<void> {
    return this.#calls.ask(() => makeSharedFolder(path, this.#answerWithinMs), { signal })
  }

  async #namesIn(folder: string): Promise<string[]> {
    return (await this.#calls.ask(() => readdir(folder).catch(missing))) ?? []
  }

  /** A folder that cannot be touched was published or removed; or the next time it can. */
  async #touch(folder: string): Promise<void> {
    const now = new Date()
    await this.#calls.ask(() => utimes(folder, now, now)).catch(() => undefined)
  }

  /** When something in a folder changed last, in milliseconds. */
  async #lastChange(folder: string): Promise<number> {
    const paths = [folder, ...(await this.#namesIn(folder)).map((name) => join(folder, name))]
    let last = 0
    for (const path of paths) {
      const found = await this.#calls.ask(() => stat(path).catch(missing))
      last = Math.max(last, found?.mtimeMs ?? 0)
    }
    return last
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

interface Publication {
  readonly dump: string
  /** The attempt's. */
  readonly folder: string
  readonly report: PublishedReport
  readonly signal: AbortSignal | undefined
}

/** Writes the report to where the artifact is, and has all of it on the disk. */
async function makeDurable(folder: string, report: PublishedReport): Promise<void> {
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
}
