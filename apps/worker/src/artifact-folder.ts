import { randomUUID } from 'node:crypto'
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dumpReport, publishedFiles, type PublishedReport } from '@ullage/dump-job'
import { errnoOf } from './errno-of.ts'

/** One attempt's own folder: nothing in it is an artifact until `publish` has returned. */
export interface Attempt {
  /** Where the engine writes. */
  readonly output: string
  /**
   * Writes the report beside the artifact, makes both durable and gives the folder its final name in one step. Returns
   * the report that stands there: another attempt's, when one was faster.
   */
  publish(report: PublishedReport): Promise<PublishedReport>
  /** Removes what is left of the attempt. Idempotent. */
  remove(): Promise<void>
}

/**
 * Where finished dumps stand: `ID/vmcore` and `ID/report.json`. What is not finished is in `.partial/HOST/`, under a name
 * of its own for each attempt, on the same file system.
 */
export class ArtifactFolder {
  readonly #folder: string
  readonly #partial: string

  constructor(folder: string, host: string) {
    this.#folder = folder
    this.#partial = join(folder, '.partial', host)
  }

  /** Makes the folders, and removes what attempts of this host left that died. Only while the host's lock is held. */
  async prepare(): Promise<void> {
    await rm(this.#partial, { recursive: true, force: true })
    await mkdir(this.#partial, { recursive: true, mode: 0o750 })
  }

  /** The report of a dump that is published, or undefined. */
  async published(dump: string): Promise<PublishedReport | undefined> {
    try {
      return dumpReport.parse(JSON.parse(await readFile(join(this.#folder, dump, publishedFiles.report), 'utf8')))
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  async begin(dump: string): Promise<Attempt> {
    const folder = join(this.#partial, `${dump}-${randomUUID()}`)
    await mkdir(folder, { recursive: true, mode: 0o750 })
    return {
      output: join(folder, publishedFiles.artifact),
      publish: (report) => this.#publish(dump, folder, report),
      remove: () => rm(folder, { recursive: true, force: true }),
    }
  }

  async #publish(dump: string, folder: string, report: PublishedReport): Promise<PublishedReport> {
    const file = await open(join(folder, publishedFiles.report), 'w', 0o640)
    try {
      await file.writeFile(`${JSON.stringify(report, null, 2)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await chmod(join(folder, publishedFiles.artifact), 0o640)
    await syncPath(join(folder, publishedFiles.artifact))
    await syncPath(folder)
    try {
      await rename(folder, join(this.#folder, dump))
    } catch (error) {
      const other = errnoOf(error) === 'ENOTEMPTY' || errnoOf(error) === 'EEXIST'
      const published = other ? await this.published(dump) : undefined
      if (!published) throw error
      return published
    }
    await syncPath(this.#folder)
    return report
  }
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
