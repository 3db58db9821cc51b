import { type LabGuest, ramRegions, type RamRegion, writeGuestNotes } from '@ullage/lab'
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HoleMap } from './hole-map.ts'

/** The guest of the benchmark, stopped, and how ours finds it. All paths are on tmpfs. */
export interface StoppedGuest {
  readonly guest: LabGuest
  readonly holes: HoleMap
  readonly folder: string
  /** Descriptor of the live guest, by its monitor. */
  readonly live: string
  /** Descriptor of its RAM file and notes. */
  readonly ramFiles: string
  /** Where `dumpElf` puts QEMU's dump, and the descriptor of the RAM in it: the file that makedumpfile reads. */
  readonly elf: string
  /** Writes the descriptor of the RAM in `elf`, which must be there. */
  describeElf(): string
}

const PT_LOAD = 1

/** Stops the guest, remembers the holes of its memory, and writes descriptors beside its RAM. */
export async function stopGuest(guest: LabGuest): Promise<StoppedGuest> {
  await guest.stop()
  const holes = new HoleMap(guest)
  const folder = guest.ramFolder
  const at = (name: string): string => join(folder, name)
  const regions = await ramRegions(guest)
  const firstBacked = holes.ranges[0]?.startByte ?? 0
  const first = regions.find(({ offsetBytes, sizeBytes }) => firstBacked < offsetBytes + sizeBytes)
  if (first === undefined) throw new Error('no region of the guest is backed')
  const notes = at('notes.elf')
  await writeGuestNotes(guest, notes, first.gpaBytes + Math.max(0, firstBacked - first.offsetBytes))
  const describe = (name: string, source: object): string => {
    writeFileSync(at(name), JSON.stringify({ backend: 'virtio-balloon', source }))
    return at(name)
  }
  const describeFiles = (name: string, found: readonly RamRegion[]): string =>
    describe(name, {
      kind: 'files',
      regions: found.map(({ gpaBytes, sizeBytes, file, offsetBytes }) => ({
        gpa: gpaBytes,
        size: sizeBytes,
        file,
        offset: offsetBytes,
      })),
      notes,
    })
  const elf = at('qemu.elf')
  return {
    guest,
    holes,
    folder,
    live: describe('live.json', { kind: 'qmp', socket: guest.qmpSocket }),
    ramFiles: describeFiles('ram-files.json', regions),
    elf,
    describeElf: () => describeFiles('elf.json', regionsInElf(regions, elf)),
  }
}

/** The same RAM in an ELF core that has its program headers right after its header. */
function regionsInElf(regions: readonly RamRegion[], elf: string): RamRegion[] {
  const loads = loadsOf(elf)
  return regions.map(({ gpaBytes, sizeBytes }) => {
    const load = loads.find((found) => gpaBytes >= found.gpaBytes && gpaBytes < found.gpaBytes + found.sizeBytes)
    if (load === undefined || gpaBytes + sizeBytes > load.gpaBytes + load.sizeBytes) {
      throw new Error(`${elf} has no segment with the ${sizeBytes} bytes of memory at ${gpaBytes}`)
    }
    return { gpaBytes, sizeBytes, file: elf, offsetBytes: load.offsetBytes + gpaBytes - load.gpaBytes }
  })
}

function loadsOf(elf: string): Omit<RamRegion, 'file'>[] {
  const header = Buffer.alloc(4096)
  const fd = openSync(elf, 'r')
  try {
    readSync(fd, header, 0, header.length, 0)
  } finally {
    closeSync(fd)
  }
  const [start, count] = [Number(header.readBigUInt64LE(32)), header.readUInt16LE(56)]
  if (start + count * 56 > header.length) throw new Error(`${elf}: ${count} program headers at ${start} are too many`)
  return Array.from({ length: count }, (_, i) => start + i * 56)
    .filter((entry) => header.readUInt32LE(entry) === PT_LOAD)
    .map((entry) => ({
      gpaBytes: Number(header.readBigUInt64LE(entry + 24)),
      sizeBytes: Number(header.readBigUInt64LE(entry + 40)),
      offsetBytes: Number(header.readBigUInt64LE(entry + 8)),
    }))
}
