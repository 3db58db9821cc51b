import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'

/** A report has a few KiB. */
const MAX_REPORT_BYTES = 1 << 20

export interface ArtifactWarning {
  readonly code: string
  readonly text: string
}

/**
 * The warnings of the dump at `path`, by the report beside it (`FILE.report.json`), where there is one and it is of a file of
 * this size. What the guest was read from, and how far that is to be trusted, no vmcore can say itself.
 */
export async function artifactWarnings(path: string): Promise<readonly ArtifactWarning[]> {
  const text = await readSmall(`${path}.report.json`)
  if (text === undefined) return []
  const report = parse(text)
  const { size } = await stat(path)
  return report?.artifact?.bytes === size && Array.isArray(report.warnings) ? report.warnings.filter(isWarning) : []
}

interface SomeReport {
  readonly artifact?: { readonly bytes?: unknown }
  readonly warnings?: unknown
}

async function readSmall(path: string): Promise<string | undefined> {
  let file
  try {
    // Without O_NONBLOCK opening a FIFO waits for a writer, for ever.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  try {
    const found = await file.stat()
    return found.isFile() && found.size <= MAX_REPORT_BYTES ? await file.readFile('utf8') : undefined
  } finally {
    await file.close()
  }
}

/** Undefined for what is no JSON object: then it is no report of ours. */
function parse(text: string): SomeReport | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function isWarning(value: unknown): value is ArtifactWarning {
  const { code, text } = (value ?? {}) as Partial<Record<string, unknown>>
  return typeof code === 'string' && typeof text === 'string'
}
