import { cacheFolder } from '@ullage/lab'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { madeRecords } from './made-records.ts'
import { realFiles } from './real-files.ts'

const PAGE_BYTES = 4096
const SEED = 20_260_601
/** Of the content, the share of each folder; what is left, and what a folder lacks, is made. */
const SHARES: readonly (readonly [folder: string, share: number])[] = [
  [resolve(import.meta.dirname, '../../../node_modules'), 0.18],
  ['/usr/lib', 0.42],
  ['/usr/bin', 0.1],
  ['/usr/share', 0.12],
  [join(cacheFolder(), 'kernels'), 0.03],
]

/** What a content is made of, in bytes. */
export interface ContentParts {
  readonly realBytes: number
  readonly madeBytes: number
}

/**
 * Overwrites the first `sizeBytes` of a file with what fills the memory of machines: real files of this machine, each
 * beginning on a page of its own as it does in a page cache, none of them twice, and records that are made. The kinds
 * take turns, so that every part of the content is mixed.
 */
export function writeContent(path: string, sizeBytes: number): ContentParts {
  const seen = new Set<string>()
  const sources = SHARES.map(([folder, share]) => ({
    files: realFiles({ folder, wantedBytes: sizeBytes * share }, seen),
    share,
    given: 0,
    isEmpty: false,
  }))
  const records = madeRecords(SEED)
  const madeShare = 1 - SHARES.reduce((sum, [, share]) => sum + share, 0)
  let madeBytes = 0
  const next = (): Buffer => {
    // Whoever is furthest behind its share comes next.
    const [behind] = sources.filter(({ isEmpty }) => !isEmpty).sort((a, b) => a.given / a.share - b.given / b.share)
    if (behind === undefined || behind.given / behind.share > madeBytes / madeShare) {
      const { value } = records.next() as IteratorYieldResult<Buffer>
      madeBytes += value.length
      return value
    }
    const { value, done } = behind.files.next()
    if (done === true) {
      behind.isEmpty = true
      return next()
    }
    behind.given += value.length
    return value
  }
  const fd = openSync(path, 'r+')
  try {
    for (let at = 0; at < sizeBytes; ) {
      const content = next()
      writeSync(fd, content, 0, Math.min(content.length, sizeBytes - at), at)
      at += Math.ceil(content.length / PAGE_BYTES) * PAGE_BYTES
    }
  } finally {
    closeSync(fd)
  }
  return { realBytes: sources.reduce((sum, { given }) => sum + given, 0), madeBytes }
}
