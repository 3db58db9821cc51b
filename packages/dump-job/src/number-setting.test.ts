import { expect, test } from 'vitest'
import { z } from 'zod'
import { decimalSetting, wholeNumberSetting } from './number-setting.ts'

const whole = wholeNumberSetting({ least: 2, most: 3_600 })
const decimal = decimalSetting({ least: 0.01, most: 100 })

test.each([
  [whole, '2', 2],
  [whole, '3600', 3_600],
  [whole, '030', 30],
  [decimal, '0.5', 0.5],
  [decimal, '100', 100],
])('a number in digits is taken', (setting, text, number) => {
  expect(setting.parse(text)).toBe(number)
})

test.each(['', ' ', '1', '3601', '-5', '2.5', '1e3', '0x10', ' 30', 'lots', 'NaN', 'Infinity', '99999999999999999999'])(
  'what is no such number (%j) is refused once, with what was expected',
  (text) => {
    const { error } = whole.safeParse(text)
    expect(error?.issues.map(({ message }) => message)).toEqual(['expected a whole number from 2 to 3600'])
  },
)

test.each(['', '0', '100.1', '.5', '1e1', 'lots'])('nor is this a decimal one: %j', (text) => {
  const { error } = decimal.safeParse(text)
  expect(error?.issues.map(({ message }) => message)).toEqual(['expected a number from 0.01 to 100'])
})

test('a default and no setting at all are as they are', () => {
  const settings = z.object({ A: whole.default(30), B: whole.optional() })
  expect(settings.parse({})).toEqual({ A: 30 })
  expect(settings.safeParse({ A: '' }).success).toBe(false)
})
