import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { LabError } from '../lab-error.ts'

const FRAME_BYTES = 4096
/** Lines of `seq` from here on have ten bytes each. */
const FIRST = 100_000_000
const LINE_BYTES = 10

/** A page whose content and frame are known. */
export interface HeapPage {
  readonly pfn: number
  readonly content: Uint8Array
}

/**
 * For busybox: a shell holds numbers in a variable; first bytes, checksum and frames of pages in its middle are told. (With a
 * last command after it, `sleep` does not take the place of the shell, and its memory.)
 */
export function heapScript(frames: number): string {
  const last = FIRST + Math.ceil(((frames + 3) * FRAME_BYTES) / LINE_BYTES)
  return `(text=$(seq ${FIRST} ${last}); touch /tmp/lab/filled; sleep 1000000; :) > /dev/null 2>&1 &
pid=$!
until [ -e /tmp/lab/filled ]; do usleep 50000; done
while read -r range access rest; do
  first=$((0x\${range%-*} / 4096)); count=$((0x\${range#*-} / 4096 - first))
  [ $access = rw-p ] && [ $count -gt $((${frames} + 1)) ] || continue
  dd if=/proc/$pid/mem bs=4096 skip=$first count=$count 2> /dev/null | strings -n 9 -t d | grep -m 1 ${FIRST} > /tmp/lab/at
  read -r at rest < /tmp/lab/at && break
done < /proc/$pid/maps
page=$((first + at / 4096 + 1))
dd if=/proc/$pid/mem bs=4096 skip=$page count=${frames} 2> /dev/null > /tmp/lab/heap
head -c 24 /tmp/lab/heap | base64
sha256sum < /tmp/lab/heap
rm /tmp/lab/heap
dd if=/proc/$pid/pagemap bs=8 skip=$page count=${frames} 2> /dev/null | gzip | base64 | tr -d '\\n'`
}

/** Reads what the script printed. Frames are in bits 0 to 54 of a word, presence is bit 63 (Documentation/admin-guide/mm/pagemap.rst). */
export function heapPages(printed: string, frames: number): HeapPage[] {
  const [head = '', sum = '', map = ''] = printed.split('\n')
  const last = FIRST + Math.ceil(((frames + 3) * FRAME_BYTES) / LINE_BYTES)
  let text = ''
  for (let number = FIRST; number <= last; number++) text += `${number}\n`
  const bytes = Buffer.from(text)
  const start = bytes.indexOf(Buffer.from(head, 'base64'))
  const heap = bytes.subarray(start, start + frames * FRAME_BYTES)
  const found = createHash('sha256').update(heap).digest('hex')
  if (start < 0 || !sum.startsWith(found)) throw new LabError(`the guest's heap is not what was put there: ${printed}`)
  const words = gunzipSync(Buffer.from(map, 'base64'))
  return Array.from({ length: frames }, (_, index) => {
    const word = words.readBigUInt64LE(index * 8)
    if (word >> 63n === 0n) throw new LabError(`page ${index} of the guest's heap is not in memory`)
    const content = heap.subarray(index * FRAME_BYTES, (index + 1) * FRAME_BYTES)
    return { pfn: Number(word & ((1n << 55n) - 1n)), content }
  })
}
