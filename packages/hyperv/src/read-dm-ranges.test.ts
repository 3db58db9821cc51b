import { expect, test } from 'vitest'
import { parseDmRanges } from './read-dm-ranges.ts'

test('takes ranges in any order, neighbours and overlaps joined', () => {
  const ranges = parseDmRanges('{"ballooned": [[8, 4], [0, 2], [2, 2], [9, 5]], "hotAdded": [[100, 1]]}', 'dm.json')
  expect(ranges).toEqual({
    ballooned: [
      { start: 0, count: 4 },
      { start: 8, count: 6 },
    ],
    hotAdded: [{ start: 100, count: 1 }],
    perhapsAdded: [],
    knowsBallooned: true,
    knowsHotAdded: true,
  })
  expect(parseDmRanges('{"ballooned": []}', 'dm.json')).toMatchObject({ hotAdded: [], knowsHotAdded: false })
})

test.each([
  ['{', /dm\.json: expected JSON/],
  ['[]', /dm\.json: expected \{ "ballooned"/],
  ['null', /dm\.json: expected \{ "ballooned"/],
  ['{}', /dm\.json: ballooned: expected a list .* found nothing/],
  ['{"ballooned": {}}', /ballooned: expected a list of \[start, count\], found \{\}/],
  ['{"ballooned": [], "hotadded": []}', /found \{"hotadded":\[\]\}/],
  ['{"ballooned": [[1, 0]]}', /ballooned\[0\]: expected \[start, count\] in frames, of at least one, found \[1,0\]/],
  ['{"ballooned": [[1, 1], [-1, 1]]}', /ballooned\[1\]/],
  ['{"ballooned": [[1, 1, 1]]}', /ballooned\[0\]/],
  ['{"ballooned": [["0x10", 1]]}', /found \["0x10",1\]/],
  ['{"ballooned": [[1.5, 1]]}', /ballooned\[0\]/],
  ['{"ballooned": [[9007199254740991, 1]]}', /ballooned\[0\]/],
  ['{"ballooned": [], "hotAdded": [7]}', /hotAdded\[0\]/],
])('refuses %s', (text, message) => {
  expect(() => parseDmRanges(text, 'dm.json')).toThrow(
    expect.objectContaining({ name: 'OfflineError', code: 'INVALID', message: expect.stringMatching(message) }),
  )
})
