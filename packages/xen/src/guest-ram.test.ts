import type { PfnRange } from '@ullage/pages'
import { expect, test } from 'vitest'
import { FrameRuns } from './frame-runs.ts'
import { guestRam } from './guest-ram.ts'

function ramOf(
  ranges: readonly (readonly [number, number])[],
  options: { translated?: boolean; maxPfn?: number; told?: readonly PfnRange[] } = {},
) {
  const pages = new FrameRuns()
  let backed = 0
  for (const [start, end] of ranges) for (let pfn = start; pfn < end; pfn++) pages.add(pfn, backed++)
  const { translated = true, maxPfn = 0 } = options
  return guestRam(pages, { backed, translated, maxPfn, told: options.told })?.extents.map(
    ({ name, start, count }) => `${name} ${start}+${count}`,
  )
}

test('RAM goes from frame 0 to the last frame with memory, ballooned sections included', () => {
  expect(
    ramOf([
      [0, 160],
      [192, 300],
      [200_000, 201_000],
    ]),
  ).toEqual(['ram 0+201000'])
})

test('grant frames at the end of a section of their own are no RAM before them', () => {
  expect(
    ramOf([
      [0, 76_000],
      [131_071, 131_072],
    ]),
  ).toEqual(['ram 0+76000', 'xen-grants 131071+1'])
  expect(
    ramOf([
      [0, 65_536],
      [98_240, 98_304],
    ]),
  ).toEqual(['ram 0+65536', 'xen-grants 98240+64'])
  // Too many for grant frames; a section with other memory; not at its end; PV.
  expect(
    ramOf([
      [0, 65_536],
      [98_239, 98_304],
    ]),
  ).toEqual(['ram 0+98304'])
  expect(
    ramOf([
      [0, 65_537],
      [98_303, 98_304],
    ]),
  ).toEqual(['ram 0+98304'])
  expect(
    ramOf([
      [0, 65_536],
      [98_302, 98_303],
    ]),
  ).toEqual(['ram 0+98303'])
  expect(
    ramOf(
      [
        [0, 65_536],
        [98_303, 98_304],
      ],
      { translated: false },
    ),
  ).toEqual(['ram 0+98304'])
})

test('the hole for devices below 4 GiB is no RAM', () => {
  const high = [
    [0, 60_000],
    [983_000, 983_040],
    [1_048_576, 1_060_000],
  ] as const
  expect(ramOf(high)).toEqual(['ram 0+983040', 'ram 1048576+11424'])
  expect(ramOf(high, { translated: false })).toEqual(['ram 0+1060000'])
  expect(ramOf([...high.slice(0, 2), [1_000_000, 1_000_001], [1_048_576, 1_060_000]])).toEqual([
    'ram 0+983040',
    'xen-special 1000000+1',
    'ram 1048576+11424',
  ])
})

test('RAM of a PV guest goes to the end of its p2m', () => {
  expect(ramOf([[0, 1000]], { translated: false, maxPfn: 65_536 })).toEqual(['ram 0+65536'])
  expect(ramOf([[0, 1000]], { translated: false, maxPfn: 2 ** 40 })).toEqual(['ram 0+1000'])
})

test('is refused where no kernel could describe so much', () => {
  const start = 73 * 1001 + 2 ** 20
  const sparse = (end: number) =>
    ramOf(
      [
        [0, 1000],
        [end - 1, end],
      ],
      { translated: false },
    )
  expect(sparse(start)).toEqual([`ram 0+${start}`])
  expect(sparse(start + 1)).toBeUndefined()
  expect(
    ramOf([
      [0, 1000],
      [2 ** 32, 2 ** 32 + 1],
    ]),
  ).toBeUndefined()
  expect(
    ramOf([
      [0, 1000],
      [2 ** 40 - 1, 2 ** 40],
    ]),
  ).toBeUndefined()
})

test('where RAM is told, it is that, and all other frames with memory are beside it', () => {
  const told = [
    { start: 0, count: 1000 },
    { start: 2 ** 20, count: 500 },
  ]
  expect(
    ramOf(
      [
        [0, 900],
        [990, 1010],
        [1500, 1501],
        [3000, 3002],
        [98_303, 98_304],
        [0xf_c000, 0xf_c009],
        [0x10_0000, 0x10_0001],
      ],
      { told },
    ),
  ).toEqual([
    'ram 0+1000',
    // Less than 4 MiB apart: one.
    'xen-special 1000+501',
    'xen-special 3000+2',
    'xen-special 98303+1',
    'xen-special 1032192+9',
    'ram 1048576+500',
  ])
  expect(
    ramOf(
      [
        [0, 900],
        [98_303, 98_304],
        [0xf_c000, 0xf_c009],
      ],
      { told: told.slice(0, 1) },
    ),
  ).toEqual(['ram 0+1000', 'xen-grants 98303+1', 'xen-special 1032192+9'])
})
