import { read } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { LineSplitter } from './line-splitter.ts'

const CHUNK_BYTES = 4096
const MAX_LINE_BYTES = 1 << 20
const EMPTY_MS = 20

/**
 * The complete lines of a pipe or socket, without their ends, until it ends or breaks. Reads `fd` itself: a stream of Node's
 * takes longer to load than a process that only waits takes to start.
 */
export async function* linesOf(fd: number): AsyncGenerator<string, undefined> {
  const chunk = Buffer.alloc(CHUNK_BYTES)
  const lines = new LineSplitter(MAX_LINE_BYTES)
  for (;;) {
    const bytes = await readSome(fd, chunk)
    if (bytes === 0) return
    yield* lines.push(chunk.subarray(0, bytes))
  }
}

/** Bytes that were read into `chunk`, at least one; 0 at the end. */
async function readSome(fd: number, chunk: Buffer): Promise<number> {
  for (;;) {
    const { error, bytes } = await new Promise<{ error: NodeJS.ErrnoException | null; bytes: number }>((resolve) => {
      read(fd, chunk, 0, chunk.length, null, (error, bytes) => resolve({ error, bytes }))
    })
    if (!error) return bytes
    // A connection that is broken is an end like any other.
    if (error.code === 'ECONNRESET') return 0
    if (error.code !== 'EAGAIN') throw error
    await delay(EMPTY_MS)
  }
}
