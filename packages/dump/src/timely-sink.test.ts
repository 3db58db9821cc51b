import { expect, test } from 'vitest'
import { timelySink } from './timely-sink.ts'

const bytes = new Uint8Array(8)
const hanging = { write: () => new Promise<never>(() => undefined) }

test('a write that hangs is given up while a guest stands still for it, with a reason', async () => {
  await expect(timelySink(hanging, () => true, 20).write(bytes, 0)).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringContaining('has taken more than 0.02 s'),
  })
})

test('nobody is hurried when no guest waits', async () => {
  const late = Promise.withResolvers<void>()
  setTimeout(late.resolve, 60)
  await timelySink({ write: () => late.promise }, () => false, 1).write(bytes, 0)
})

test('what is written in time is written, and what fails fails as it did', async () => {
  const written: number[] = []
  const sink = timelySink({ write: async (_, position) => void written.push(position) }, () => true)
  await sink.write(bytes, 7)
  expect(written).toEqual([7])
  expect(sink.readBack).toBeUndefined()
  const failing = timelySink({ write: () => Promise.reject(new Error('full')) }, () => true)
  await expect(failing.write(bytes, 0)).rejects.toThrow('full')
})
