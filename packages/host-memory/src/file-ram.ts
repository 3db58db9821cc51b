import { closeSync, fstatSync } from 'node:fs'
import { type ByteRange, cachestat, dataRanges, fileSystemType, pageSize } from '@ullage/native'
import { checkDataRanges, clip } from './data-list.ts'
import { checkPart, closeOnce, type FilePart, openRegularFile } from './file-part.ts'
import { hasSwap } from './has-swap.ts'
import { HostMemoryError } from './host-memory-error.ts'
import { KnownData } from './known-data.ts'
import { hugetlbRam } from './hugetlb-ram.ts'
import { type BackingBytes, bytesByState, checkInside, maximalRuns, type RamSource } from './ram-source.ts'
import { readFully } from './read-fully.ts'

const STAT_BLOCK_BYTES = 512

/**
 * Guest RAM in a file of this host, named by its path: opens it and checks that the part lies inside.
 *
 * @param options.data byte ranges of the *file* that hold data, for a file whose holes were lost when it was copied;
 *   without them the file's own holes are asked.
 */
export function openFileRam(options: {
  path: string
  offsetBytes: number
  sizeBytes: number
  data?: readonly ByteRange[]
}): RamSource {
  const fd = openRegularFile(options.path)
  try {
    const part = { fd, about: options.path, offsetBytes: options.offsetBytes, sizeBytes: options.sizeBytes }
    if (options.data !== undefined) return listedFileRam(part, options.data)
    return fileSystemType(fd).name === 'hugetlbfs' ? hugetlbRam(part) : keptFileRam(part)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/**
 * The RAM source for shmem, a memfd or an ordinary file: holes are `unbacked`, data is `backed`, resident or swapped
 * (Linux Documentation/admin-guide/mm/pagemap.rst: lseek tells present-or-swapped from none). Reads by pread, which
 * allocates nothing in a hole.
 */
export function sharedFileRam(part: FilePart): RamSource {
  return fileRam(part, (within) => dataOf(part, within))
}

/** The same for a file that nobody writes through a mapping: its holes are looked for once as long as it does not change. */
function keptFileRam(part: FilePart): RamSource {
  const whole = { startBytes: part.offsetBytes, endBytes: part.offsetBytes + part.sizeBytes }
  const known = new KnownData(part.fd, whole, (within) => dataOf(part, within))
  return fileRam(part, (within) => known.ranges(within))
}

function fileRam(part: FilePart, data: (within: ByteRange) => Iterable<ByteRange>): RamSource {
  checkPart(part)
  const { fd, offsetBytes, sizeBytes } = part
  const source: RamSource = {
    kind: 'sharedFile',
    about: part.about,
    sizeBytes,
    granularityBytes: fileSystemType(fd).blockBytes,
    tellsSwapped: false,
    plainFile: { fd, baseBytes: offsetBytes },
    backing(within) {
      checkInside(within, sizeBytes)
      const inFile = { startBytes: within.startBytes + offsetBytes, endBytes: within.endBytes + offsetBytes }
      return maximalRuns(withHoles(data(inFile), inFile, offsetBytes))
    },
    read(at, into) {
      checkInside({ startBytes: at, endBytes: at + into.length }, sizeBytes)
      readFully({ fd, about: part.about, baseBytes: offsetBytes }, at, into)
    },
    figures() {
      const backedBytes = allocatedBytes(part) ?? bytesByState(source).backed
      // Counting takes the kernel a while, and without swap no page of shmem is anywhere else.
      if (fileSystemType(fd).name === 'tmpfs' && !hasSwap()) return { backedBytes, residentBytes: backedBytes }
      const stat = cachestat(fd, offsetBytes, sizeBytes)
      const residentBytes = stat ? Math.min(backedBytes, stat.cachePages * pageSize()) : backedBytes
      return { backedBytes, residentBytes }
    },
    [Symbol.dispose]: closeOnce(fd),
  }
  return source
}

/** Of shmem that is all guest memory the kernel keeps a count, swapped pages included; undefined for other files. */
function allocatedBytes({ fd, offsetBytes, sizeBytes }: FilePart): number | undefined {
  if (offsetBytes !== 0 || fileSystemType(fd).name !== 'tmpfs') return undefined
  const { size, blocks } = fstatSync(fd)
  return size === sizeBytes ? blocks * STAT_BLOCK_BYTES : undefined
}

/** The data of `inFile`. What lies beyond the end of a file that was truncated meanwhile is no hole: nobody knows. */
function* dataOf({ fd, about }: FilePart, inFile: ByteRange): Generator<ByteRange> {
  yield* dataRanges(fd, inFile)
  const { size } = fstatSync(fd)
  if (size < inFile.endBytes) {
    throw new HostMemoryError(
      'GONE',
      `${about} was truncated to ${size} bytes, guest memory goes to ${inFile.endBytes}`,
    )
  }
}

/** A file whose data is where a list says it is, whatever its holes say. */
function listedFileRam(part: FilePart, data: readonly ByteRange[]): RamSource {
  const own = sharedFileRam(part)
  const fileBytes = fstatSync(part.fd).size
  checkDataRanges(data, fileBytes, part.about)
  const source: RamSource = {
    ...own,
    granularityBytes: 1,
    backing(within) {
      checkInside(within, part.sizeBytes)
      const inFile = { startBytes: within.startBytes + part.offsetBytes, endBytes: within.endBytes + part.offsetBytes }
      return maximalRuns(withHoles(clip(data, inFile), inFile, part.offsetBytes))
    },
    figures() {
      const backedBytes = bytesByState(source).backed
      return { backedBytes, residentBytes: backedBytes }
    },
  }
  return source
}

/** Data and what lies between it, all of `within`, as offsets into a source that starts at `baseBytes` of the file. */
function* withHoles(data: Iterable<ByteRange>, within: ByteRange, baseBytes: number): Generator<BackingBytes> {
  let at = within.startBytes
  for (const { startBytes, endBytes } of data) {
    yield { startBytes: at - baseBytes, endBytes: startBytes - baseBytes, state: 'unbacked' }
    yield { startBytes: startBytes - baseBytes, endBytes: endBytes - baseBytes, state: 'backed' }
    at = endBytes
  }
  yield { startBytes: at - baseBytes, endBytes: within.endBytes - baseBytes, state: 'unbacked' }
}
