import { open } from 'node:fs/promises'

const NEW_NAME = 'OFFSET(page.compound_info)='
const OLD_NAME = 'OFFSET(page.compound_head)='

/** The notes stand at the beginning of an ELF core. */
const NOTES_BYTES = 1 << 20

/**
 * Where the notes of an ELF core have the line of kernels since 7.1, gives it the name it had before. makedumpfile up to 1.7.9
 * knows that one only, and takes every tail of a compound page for a page of its own; later ones read both, to the same
 * effect (makedumpfile.c read_vmcoreinfo). Without it its dumps of these kernels lack pages in use.
 */
export async function nameHeadsAsBefore(path: string): Promise<boolean> {
  await using file = await open(path, 'r+')
  const { buffer } = await file.read(Buffer.alloc(NOTES_BYTES), 0, NOTES_BYTES, 0)
  const at = buffer.indexOf(NEW_NAME)
  if (at === -1) return false
  await file.write(OLD_NAME, at)
  return true
}
