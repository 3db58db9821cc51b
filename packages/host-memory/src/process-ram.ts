import { closeSync } from 'node:fs'
import { fileSystemType } from '@ullage/native'
import { anonymousRam } from './anonymous-ram.ts'
import { sharedFileRam } from './file-ram.ts'
import { HostMemoryError } from './host-memory-error.ts'
import type { HostProcess } from './host-process.ts'
import { hugetlbRam } from './hugetlb-ram.ts'
import { describeArea, openMapped } from './open-mapped.ts'
import { privateFileRam } from './private-file-ram.ts'
import { findMapping } from './process-map.ts'
import type { RamSource } from './ram-source.ts'

/**
 * Guest RAM where a process (QEMU) has it mapped: finds out what kind of memory lies at `addressBytes` and reads it in the
 * way that allocates nothing. `process` must stay open as long as the source is used. Throws HostMemoryError: `INVALID` when
 * [addressBytes, addressBytes + sizeBytes) is not one mapping, and what opening its file gives.
 */
export function openProcessRam(process: HostProcess, options: { addressBytes: number; sizeBytes: number }): RamSource {
  const { addressBytes, sizeBytes } = options
  const aligned = Number.isSafeInteger(addressBytes) && addressBytes > 0 && addressBytes % process.pageBytes === 0
  if (!aligned || !Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) {
    throw new HostMemoryError(
      'INVALID',
      `guest memory of ${process.about} needs an address that is a multiple of ${process.pageBytes} and a size, ` +
        `found ${addressBytes} and ${sizeBytes}`,
    )
  }
  const area = findMapping(process.areas(), addressBytes, sizeBytes)
  if (!area) {
    throw new HostMemoryError(
      'INVALID',
      `expected ${sizeBytes} bytes of guest memory at 0x${addressBytes.toString(16)} of ${process.about}, ` +
        `found no single mapping that holds them`,
    )
  }
  if (!area.file) return anonymousRam(process, area)
  const fd = openMapped(process, area)
  try {
    const part = { fd, about: describeArea(process, area), offsetBytes: area.file.offsetBytes, sizeBytes }
    if (fileSystemType(fd).name === 'hugetlbfs') return hugetlbRam(part, { process, area })
    return area.shared ? sharedFileRam(part) : privateFileRam(process, area, part)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}
