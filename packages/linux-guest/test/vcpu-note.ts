import { encodeElfNote, offsetOf, QEMUCPUState } from '@ullage/layout'

/** The note QEMU writes of a vCPU whose CR3 is the address of `pfn`. */
export function vcpuNote(pfn: number, cr4 = 0n): Uint8Array {
  const desc = new Uint8Array(QEMUCPUState.size)
  const view = new DataView(desc.buffer)
  view.setUint32(offsetOf(QEMUCPUState, 'version'), 1, true)
  view.setUint32(offsetOf(QEMUCPUState, 'size'), QEMUCPUState.size, true)
  view.setBigUint64(offsetOf(QEMUCPUState, 'cr') + 24, BigInt(pfn * 4096), true)
  view.setBigUint64(offsetOf(QEMUCPUState, 'cr') + 32, cr4, true)
  return encodeElfNote('QEMU', 0, desc)
}
