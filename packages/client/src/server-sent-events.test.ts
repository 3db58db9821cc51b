import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EventParser } from './server-sent-events.ts'

test('events are read as the standard says', () => {
  const waits: number[] = []
  const parser = new EventParser((ms) => waits.push(ms))
  const text =
    'retry: 2000\n\n:\n\nevent: state\nid: 1\ndata: {"a":\ndata: 1}\n\nid: 2\n\ndata\n\nevent: lost\n\ndata:  x\nid: a\0b\nretry: x\n\ndata: unfinished'
  expect(parser.push(text)).toEqual([
    { event: 'state', id: '1', data: '{"a":\n1}' },
    { event: 'message', id: '2', data: '' },
    { event: 'message', id: '2', data: ' x' },
  ])
  expect(waits).toEqual([2000])
})

test('however a stream is cut into pieces and whatever ends its lines, its events are the same', () => {
  const field = fc.constantFrom('event: state', 'data: x', 'data: {"a": 1}', 'id: 7', 'id: 8', ':', '', '', 'retry: 5')
  fc.assert(
    fc.property(
      fc.array(field, { maxLength: 30 }),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.array(fc.nat(200), { maxLength: 10 }),
      (lines, end, cuts) => {
        // What follows the last line end completes it, should it be a lone CR.
        const text = [...lines, '', '', ':'].join(end)
        const whole = new EventParser().push([...lines, '', '', ':'].join('\n'))
        const at = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length]
        const parser = new EventParser()
        const pieces = at.slice(1).flatMap((to, index) => parser.push(text.slice(at[index], to)))
        expect(pieces).toEqual(whole)
      },
    ),
  )
})

test('a line without an end is no stream of events', () => {
  const parser = new EventParser()
  expect(() => {
    for (let count = 0; count < 10; count += 1) parser.push('x'.repeat(1 << 20))
  }).toThrow(/expected lines of at most/)
})
