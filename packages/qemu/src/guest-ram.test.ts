import { expect, test } from 'vitest'
import { parseFlatView } from './flat-view.ts'
import { guestRam } from './guest-ram.ts'
import type { MemoryBackend } from './memory-backends.ts'

const MIB = 1 << 20
const backend: MemoryBackend = {
  id: 'pc.ram',
  sizeBytes: 256 * MIB,
  type: 'memory-backend-file',
  share: true,
  memPath: undefined,
  offsetBytes: 0,
}

function ramOf(...ranges: string[]) {
  const text = [' AS "memory", root: system', ...ranges.map((range) => `  ${range}`)].join('\n')
  return guestRam(parseFlatView(text), [backend])
}

test('SynIC pages that lie over RAM are RAM of their own', () => {
  // As QEMU 10.0.13 prints it of a Linux guest with hv_vmbus.
  const { regions, notDumped } = ramOf(
    '0000000000100000-0000000002405fff (prio 0, ram): pc.ram @0000000000100000 KVM',
    '0000000002406000-0000000002406fff (prio 0, ram): synic-0-event-page KVM',
    '0000000002407000-0000000002407fff (prio 0, ram): synic-0-msg-page KVM',
    '0000000002408000-000000000fffffff (prio 0, ram): pc.ram @0000000002408000 KVM',
  )
  expect(regions).toEqual([
    { name: 'pc.ram', startBytes: 0x100000, sizeBytes: 0x2306000, offsetBytes: 0x100000 },
    { name: 'synic-0-event-page', startBytes: 0x2406000, sizeBytes: 4096, offsetBytes: 0 },
    { name: 'synic-0-msg-page', startBytes: 0x2407000, sizeBytes: 4096, offsetBytes: 0 },
    { name: 'pc.ram', startBytes: 0x2408000, sizeBytes: 256 * MIB - 0x2408000, offsetBytes: 0x2408000 },
  ])
  expect(notDumped).toEqual([])
})

test('a SynIC page over the first or the last frame of RAM is RAM', () => {
  const first = ramOf(
    '0000000000000000-0000000000000fff (prio 0, ram): synic-0-msg-page',
    '0000000000001000-000000000fffffff (prio 0, ram): pc.ram @0000000000001000',
  )
  expect(first.regions.map(({ name }) => name)).toEqual(['synic-0-msg-page', 'pc.ram'])
  const last = ramOf(
    '0000000000000000-000000000fffefff (prio 0, ram): pc.ram',
    '000000000ffff000-000000000fffffff (prio 0, ram): synic-0-msg-page',
  )
  expect(last.regions.map(({ name }) => name)).toEqual(['pc.ram', 'synic-0-msg-page'])
})

test('a SynIC page that a guest puts where there is no RAM is listed', () => {
  const { regions, notDumped } = ramOf(
    '0000000000000000-000000000fffffff (prio 0, ram): pc.ram',
    '0000000010000000-0000000010000fff (prio 0, ram): synic-0-event-page',
    '00007ffffffff000-00007fffffffffff (prio 0, ram): synic-0-msg-page',
  )
  expect(regions.map(({ name }) => name)).toEqual(['pc.ram'])
  expect(notDumped.map(({ name }) => name)).toEqual(['synic-0-event-page', 'synic-0-msg-page'])
})
