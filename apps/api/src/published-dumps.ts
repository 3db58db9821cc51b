import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dumpId, dumpReport, publishedFiles, type PublishedReport } from '@ullage/dump-job'

/**
 * The folder in which workers publish: `ID/vmcore` and `ID/report.json`. Paths are made of ids that the schema has
 * checked, never of anything else a client sends.
 */
export class PublishedDumps {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** The artifact, open for reading, or undefined when it is not there. The caller closes it. */
  async openArtifact(dump: string): Promise<FileHandle | undefined> {
    return open(this.#path(dump, publishedFiles.artifact), 'r').catch(missing)
  }

  /** The report, or undefined when it is not there. */
  async report(dump: string): Promise<PublishedReport | undefined> {
    const text = await readFile(this.#path(dump, publishedFiles.report), 'utf8').catch(missing)
    return text === undefined ? undefined : dumpReport.parse(JSON.parse(text))
  }

  /**
   * Removes artifact and report. They are gone from their name at once, then from the disk; what an earlier call could not
   * remove goes as well. Idempotent.
   */
  async remove(dump: string): Promise<void> {
    const doomed = join(this.#folder, `.removed-${dumpId.parse(dump)}`)
    await rm(doomed, { recursive: true, force: true })
    await rename(join(this.#folder, dumpId.parse(dump)), doomed).catch(missing)
    await rm(doomed, { recursive: true, force: true })
  }

  #path(dump: string, file: string): string {
    return join(this.#folder, dumpId.parse(dump), file)
  }
}

function missing(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
