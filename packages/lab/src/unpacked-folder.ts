import { createHash } from 'node:crypto'
import { access, copyFile, mkdir, mkdtemp, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'

const packedFolder = join(import.meta.dirname, '..', 'fixtures')

/**
 * A temporary folder, named by its content, with the files of the packed fixture `name`: those that end in `.zst`
 * decompressed, others copied. Made once. `fill` writes into `partial` what needs more than that, and says which packed
 * files it takes upon itself.
 */
export async function unpackedFolder(
  name: string,
  fill?: { takes(file: string): boolean; write(packed: string, partial: string): Promise<void> },
): Promise<string> {
  const packed = join(packedFolder, name)
  const dir = join(tmpdir(), `ullage-fixtures-${userInfo().uid}`, `${name}-${await contentKey(packed)}`)
  if (await exists(dir)) return dir
  await mkdir(dirname(dir), { recursive: true })
  const partial = await mkdtemp(`${dir}.partial-`)
  try {
    for (const file of await readdir(packed)) {
      if (fill?.takes(file)) continue
      if (!file.endsWith('.zst')) await copyFile(join(packed, file), join(partial, file))
      else await unpackWhole(join(packed, file), join(partial, basename(file, '.zst')))
    }
    await fill?.write(packed, partial)
    await rename(partial, dir)
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    // Another process may have been quicker: its folder holds the same bytes.
    if (!(await exists(dir))) throw error
  }
  return dir
}

/** A file of u64, such as a copy of /proc/kpageflags. */
export async function readWords(path: string): Promise<BigUint64Array> {
  const bytes = await readFile(path)
  // Copied, because a pooled Buffer need not be aligned to eight bytes.
  return new BigUint64Array(Uint8Array.from(bytes).buffer)
}

/** Lines of /proc/kallsyms: symbol → virtual address. */
export function parseSymbols(text: string): Map<string, bigint> {
  const symbols = new Map<string, bigint>()
  for (const line of text.split('\n')) {
    const [address, , symbol] = line.split(' ')
    if (address && symbol) symbols.set(symbol, BigInt(`0x${address}`))
  }
  return symbols
}

/** Changes when any packed file or the way it is unpacked does. */
async function contentKey(folder: string): Promise<string> {
  const hash = createHash('sha256').update('1')
  for (const file of (await readdir(folder)).sort()) hash.update(file).update(await readFile(join(folder, file)))
  return hash.digest('hex').slice(0, 16)
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}

async function unpackWhole(source: string, target: string): Promise<void> {
  const file = await open(target, 'w')
  try {
    await file.writeFile(zstdDecompressSync(await readFile(source)))
  } finally {
    await file.close()
  }
}
