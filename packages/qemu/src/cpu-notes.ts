import { randomUUID } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { memfdCreate } from '@ullage/native'
import { type NotesElf, readNotesElf } from './notes-elf.ts'
import { QemuError } from './qemu-error.ts'
import type { CommandOptions, QmpClient } from './qmp-client.ts'

const MAX_FILE_BYTES = 128 * 1024 * 1024

export interface CpuNotesOptions extends CommandOptions {
  /** Guest physical address of one frame that is RAM and backed: QEMU reads it, which would allocate another. */
  readonly beginBytes: number
  /** A folder that QEMU may write to and this process reads; used only when QEMU cannot be handed a descriptor. */
  readonly folder?: string
}

/**
 * CPU notes, and VMCOREINFO where the guest has left it (-device vmcoreinfo): QEMU dumps one frame as an ELF core into a
 * file in memory that it is handed a descriptor of. A running guest stops for a few milliseconds. Nothing stays behind, in
 * QEMU or on disk. Throws COMMAND_FAILED, BAD_NOTES, GONE, TIMEOUT or the signal's reason.
 */
export async function cpuNotes(client: QmpClient, options: CpuNotesOptions): Promise<NotesElf> {
  const fd = memfdCreate('ullage-notes')
  try {
    if (await passFd(client, fd, options)) return readNotesElf(readAll(fd), `the notes from ${client.socketPath}`)
  } finally {
    closeSync(fd)
  }
  return notesThroughFolder(client, options)
}

/** True when QEMU has dumped into `fd`; false when it cannot be handed one (no SCM_RIGHTS on this monitor). */
async function passFd(client: QmpClient, fd: number, options: CpuNotesOptions): Promise<boolean> {
  const name = `ullage-${randomUUID()}`
  try {
    await client.passFd(name, fd, options)
  } catch (error) {
    if (error instanceof QemuError && error.code === 'COMMAND_FAILED' && options.folder !== undefined) return false
    throw error
  }
  try {
    await dumpOneFrame(client, `fd:${name}`, options)
    return true
  } catch (error) {
    await closePassed(client, name)
    throw error
  }
}

/** Takes the descriptor back from QEMU; a dump that got as far as using it has closed it. */
async function closePassed(client: QmpClient, name: string): Promise<void> {
  try {
    await client.execute('closefd', { fdname: name })
  } catch (error) {
    if (!(error instanceof QemuError) || (error.code !== 'COMMAND_FAILED' && error.code !== 'GONE')) throw error
  }
}

/** QEMU makes the file, under its own uid and with mode 0400. */
async function notesThroughFolder(client: QmpClient, options: CpuNotesOptions): Promise<NotesElf> {
  const path = join(options.folder ?? '.', `ullage-notes-${randomUUID()}.elf`)
  try {
    await dumpOneFrame(client, `file:${path}`, options)
    const fd = openSync(path, 'r')
    try {
      return readNotesElf(readAll(fd), path)
    } finally {
      closeSync(fd)
    }
  } finally {
    rmSync(path, { force: true })
  }
}

async function dumpOneFrame(client: QmpClient, protocol: string, options: CpuNotesOptions): Promise<void> {
  const what = { paging: false, protocol, begin: options.beginBytes, length: 4096, format: 'elf' }
  await client.execute('dump-guest-memory', what, options)
}

function readAll(fd: number): Uint8Array {
  const { size } = fstatSync(fd)
  if (size > MAX_FILE_BYTES) {
    throw new QemuError('BAD_NOTES', `expected notes of at most ${MAX_FILE_BYTES} bytes from qemu, found ${size}`)
  }
  const bytes = new Uint8Array(size)
  let done = 0
  while (done < size) {
    const count = readSync(fd, bytes, done, size - done, done)
    if (count === 0) throw new QemuError('BAD_NOTES', `expected ${size} bytes of notes from qemu, found ${done}`)
    done += count
  }
  return bytes
}
