import { expect, test } from 'vitest'
import { parseFlatView } from './flat-view.ts'
import { guestRam } from './guest-ram.ts'
import type { MemoryBackend } from './memory-backends.ts'

const MIB = 1 << 20
const backend = (id: string, sizeBytes: number): MemoryBackend => ({
  id,
  sizeBytes,
  type: 'memory-backend-file',
  share: true,
  memPath: undefined,
  offsetBytes: 0,
})

/** As QEMU 7.2 prints it: two views before the one of memory, PAM areas as rom, an NVDIMM, a device behind the RAM. */
const text = [
  'FlatView #0',
  ' AS "I/O", root: io',
  ' Root memory region: io',
  '  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan',
  '',
  'FlatView #1',
  ' AS "memory", root: system',
  ' AS "cpu-memory-0", root: system',
  ' Root memory region: system',
  '  0000000000000000-00000000000bffff (prio 0, ram): ram0 KVM KVM',
  '  00000000000c0000-00000000000c3fff (prio 0, rom): pc.rom KVM KVM',
  '  00000000000c4000-00000000000e7fff (prio 0, rom): ram0 @00000000000c4000 KVM KVM',
  '  00000000000e8000-00000000000fffff (prio 0, ram): ram0 @00000000000e8000 KVM KVM',
  '  0000000000100000-0000000007ffffff (prio 0, ram): /objects/ram0 @0000000000100000',
  '  00000000fd000000-00000000fdffffff (prio 1, ram): vga.vram',
  '  00000000fed40000-00000000fed44fff (prio 0, i/o): name with (prio 0, ram): ram0',
  '  00000000fffc0000-00000000ffffffff (prio -5, rom): pc.bios',
  '  0000000100000000-0000000107ffffff (prio 0, ram): ram0 @0000000008000000',
  '  0000000140000000-000000014fffffff (prio 0, nv-ram): nv0',
  '  0000380000000000-ffffffffffffffff (prio 0, i/o): pci',
  '',
  'FlatView #2',
  ' AS "memory-of-a-device", root: other',
  '  0000000000000000-0000000000ffffff (prio 0, ram): ram0',
].join('\r\n')

test('guest RAM is what is named after a backend and shown as ram or rom, all else is listed', () => {
  const { regions, notDumped } = guestRam(parseFlatView(text), [backend('ram0', 256 * MIB), backend('nv0', 256 * MIB)])
  expect(regions).toEqual([
    { name: 'ram0', startBytes: 0, sizeBytes: 0xc0000, offsetBytes: 0 },
    { name: 'ram0', startBytes: 0xc4000, sizeBytes: 128 * MIB - 0xc4000, offsetBytes: 0xc4000 },
    { name: 'ram0', startBytes: 4096 * MIB, sizeBytes: 128 * MIB, offsetBytes: 128 * MIB },
  ])
  expect(notDumped.map(({ name, kind }) => [name, kind])).toEqual([
    ['pc.rom', 'rom'],
    ['vga.vram', 'ram'],
    ['name with (prio 0, ram): ram0', 'i/o'],
    ['pc.bios', 'rom'],
    ['nv0', 'nv-ram'],
    ['pci', 'i/o'],
  ])
})

test('a range beyond its backend is refused', () => {
  expect(() => guestRam(parseFlatView(text), [backend('ram0', 128 * MIB)])).toThrow(
    expect.objectContaining({ code: 'UNEXPECTED_ANSWER', message: expect.stringContaining('inside its backend') }),
  )
})

const view = (...lines: string[]): string => ['FlatView #0', ' AS "memory", root: system', ...lines].join('\n')

test.each([
  ['nothing', ''],
  ['no view of memory', 'FlatView #0\n AS "I/O", root: io\n'],
  [
    'ranges out of order',
    view(
      '  0000000000001000-0000000000001fff (prio 0, ram): a',
      '  0000000000000000-0000000000000fff (prio 0, ram): a',
    ),
  ],
  [
    'ranges that overlap',
    view(
      '  0000000000000000-0000000000001fff (prio 0, ram): a',
      '  0000000000001000-0000000000002fff (prio 0, ram): a',
    ),
  ],
  ['a range that ends before it begins', view('  0000000000002000-0000000000000fff (prio 0, ram): a')],
  ['RAM beyond 2^53', view('  f000000000000000-f000000000000fff (prio 0, ram): a')],
])('%s is no flat view', (_, output) => {
  expect(() => parseFlatView(output)).toThrow(expect.objectContaining({ code: 'UNEXPECTED_ANSWER' }))
})
