import { expect, test } from 'vitest'
import {
  fates,
  GUEST_CLASS,
  type GuestClass,
  guestClasses,
  HOST_STATE,
  type HostState,
  hostStates,
} from './frame-codes.ts'
import { decideVerdicts, NOTE, type Policy, verdictIndex } from './verdict.ts'

const defaults: Policy = { level: 31, trust: 'guest', unbackedReads: 'zeros', offlineTold: true }

function fate(guest: GuestClass, host: HostState, change: Partial<Policy> & { isProtected?: boolean } = {}) {
  const { isProtected = false, ...policy } = change
  const verdicts = decideVerdicts({ ...defaults, ...policy })
  return fates[verdicts.fate[verdictIndex(GUEST_CLASS[guest], HOST_STATE[host], isProtected)] as number]
}

test('hwpoison, offline and unaccepted are left out at every level, protected or not', () => {
  for (const guest of ['hwpoison', 'offline', 'unaccepted'] as const) {
    for (const level of [0, 1, 31]) {
      for (const host of hostStates) {
        expect(fate(guest, host, { level })).toBe('leaveOut')
        expect(fate(guest, host, { level, isProtected: true })).toBe('leaveOut')
      }
    }
  }
})

test.each<[GuestClass, number[]]>([
  ['free', [16]],
  ['user', [8]],
  ['cachePrivate', [4]],
  ['cache', [2, 4]],
  ['inUse', []],
  ['noStructPage', []],
  ['unknown', []],
])('%s is left out by the bits %j of the level and by no other', (guest, bits) => {
  for (let level = 0; level < 32; level++) {
    const expected = bits.some((bit) => (level & bit) !== 0) ? 'leaveOut' : 'write'
    for (const host of ['backed', 'swapped', 'unknown'] as const) expect(fate(guest, host, { level })).toBe(expected)
  }
})

test('swapped and unknown frames are treated like backed ones, always', () => {
  for (const guest of guestClasses) {
    for (const trust of ['guest', 'both', 'host'] as const) {
      for (const isProtected of [true, false]) {
        for (let level = 0; level < 32; level++) {
          const backed = fate(guest, 'backed', { level, trust, isProtected })
          expect(fate(guest, 'swapped', { level, trust, isProtected })).toBe(backed)
          expect(fate(guest, 'unknown', { level, trust, isProtected })).toBe(backed)
        }
      }
    }
  }
})

test('protected frames are kept whatever the level says', () => {
  for (const guest of ['user', 'cache', 'cachePrivate', 'inUse', 'unknown'] as const) {
    expect(fate(guest, 'backed', { isProtected: true })).toBe('write')
    expect(fate(guest, 'unbacked', { isProtected: true })).toBe('zero')
  }
  expect(fate('free', 'backed', { isProtected: true })).toBe('leaveOut')
})

test('an unbacked frame is never read', () => {
  for (const guest of guestClasses) {
    for (const trust of ['guest', 'both', 'host'] as const) {
      for (const unbackedReads of ['zeros', 'nothing'] as const) {
        for (let level = 0; level < 32; level++) {
          for (const isProtected of [true, false]) {
            const found = fate(guest, 'unbacked', { level, trust, unbackedReads, isProtected })
            expect(found).not.toBe('write')
            if (unbackedReads === 'nothing') expect(found).toBe('leaveOut')
          }
        }
      }
    }
  }
  expect(fate('inUse', 'unbacked')).toBe('zero')
  expect(fate('unknown', 'unbacked')).toBe('zero')
  expect(fate('free', 'unbacked', { level: 0 })).toBe('leaveOut')
  expect(fate('noStructPage', 'unbacked', { level: 0 })).toBe('leaveOut')
})

test('where the kernel cannot say offline, a frame in use without memory is left out and counted', () => {
  expect(fate('inUse', 'unbacked', { offlineTold: false, level: 0 })).toBe('leaveOut')
  const { note } = decideVerdicts({ ...defaults, offlineTold: false })
  expect(note[verdictIndex(GUEST_CLASS.inUse, HOST_STATE.unbacked, false)]).toBe(NOTE.offlineUntold)
  expect(fate('inUse', 'backed', { offlineTold: false })).toBe('write')
})

test('with trust both no claim of the guest leaves out a frame that the host backs', () => {
  for (const guest of guestClasses) expect(fate(guest, 'backed', { trust: 'both' })).toBe('write')
})
