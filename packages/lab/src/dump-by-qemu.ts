import { chmod, open, type FileHandle } from 'node:fs/promises'
import { LabError } from './lab-error.ts'
import type { LabGuest } from './lab-guest.ts'

const EHDR_BYTES = 64
const PHDR_BYTES = 56

/**
 * Has QEMU itself write an ELF dump of the guest, which fills every hole of its memory: what others do, to compare with.
 * makedumpfile looks for program headers right after the ELF header (its elf_info.c), newer QEMUs put section headers
 * between: they are moved there, and everything else stays as QEMU wrote it.
 */
export async function dumpByQemu(guest: LabGuest, path: string): Promise<void> {
  await guest.qmp('dump-guest-memory', { paging: false, protocol: `file:${path}` })
  await chmod(path, 0o600)
  await using file = await open(path, 'r+')
  const header = await readExactly(file, EHDR_BYTES, 0)
  if (header.readUInt32BE(0) !== 0x7f454c46) throw new LabError(`expected an ELF file from QEMU at ${path}`)
  const programHeadersAt = Number(header.readBigUInt64LE(32))
  const count = header.readUInt16LE(56)
  if (programHeadersAt === EHDR_BYTES) return
  const programHeaders = await readExactly(file, count * PHDR_BYTES, programHeadersAt)
  header.writeBigUInt64LE(BigInt(EHDR_BYTES), 32) // e_phoff
  header.writeBigUInt64LE(0n, 40) // e_shoff
  header.fill(0, 58) // e_shentsize, e_shnum, e_shstrndx
  await file.write(Buffer.concat([header, programHeaders]), 0, undefined, 0)
}

async function readExactly(file: FileHandle, sizeBytes: number, offsetBytes: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(sizeBytes), 0, sizeBytes, offsetBytes)
  if (bytesRead !== sizeBytes) throw new LabError(`expected ${sizeBytes} bytes at ${offsetBytes}, found ${bytesRead}`)
  return buffer
}
