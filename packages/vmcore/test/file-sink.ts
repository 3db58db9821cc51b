import { closeSync, openSync, writeSync } from 'node:fs'
import type { PositionedSink } from '../src/vmcore-writer.ts'

/** A local file as a sink. Writing where something was written before throws. */
export function openFileSink(path: string): PositionedSink & Disposable {
  const fd = openSync(path, 'w')
  const written: { start: number; end: number }[] = []
  return {
    async write(bytes, position) {
      const end = position + bytes.length
      const clash = written.find((other) => position < other.end && other.start < end)
      if (clash) throw new Error(`[${position}, ${end}) was written before, in [${clash.start}, ${clash.end})`)
      const last = written.at(-1)
      if (last?.end === position) last.end = end
      else written.push({ start: position, end })
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(fd, bytes, done, bytes.length - done, position + done)
      }
    },
    [Symbol.dispose]: () => closeSync(fd),
  }
}

/** A file that takes bytes only where the last ones ended, as a pipe does. */
export function openSequentialSink(path: string): PositionedSink & Disposable {
  const file = openFileSink(path)
  let next = 0
  return {
    async write(bytes, position) {
      if (position !== next) throw new Error(`expected a write at ${next}, found one at ${position}`)
      next += bytes.length
      await file.write(bytes, position)
    },
    [Symbol.dispose]: () => file[Symbol.dispose](),
  }
}
