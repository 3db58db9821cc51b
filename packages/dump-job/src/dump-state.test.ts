import { expect, test } from 'vitest'
import { activeStates, canBecome, type DumpState, dumpState, isFinished } from './dump-state.ts'

test('every state is either active or finished', () => {
  const active: readonly DumpState[] = activeStates
  for (const state of dumpState.options) expect(isFinished(state)).toBe(!active.includes(state))
})

test('nothing leaves a finished state', () => {
  for (const from of dumpState.options.filter(isFinished)) {
    for (const to of dumpState.options) expect(canBecome(from, to)).toBe(false)
  }
})

test('a dump whose worker died is queued again', () => {
  expect(canBecome('running', 'queued')).toBe(true)
  expect(canBecome('queued', 'running')).toBe(true)
})
