import { expect, test } from 'vitest'
import { OpenResources } from './open-resources.ts'

function recorded(): { opened: OpenResources; closed: string[] } {
  const closed: string[] = []
  const opened = new OpenResources()
  opened.use({ [Symbol.dispose]: () => void closed.push('lock') })
  opened.defer(async () => void closed.push('ram'))
  return { opened, closed }
}

test('what was opened last is closed first, and once', async () => {
  const { opened, closed } = recorded()
  await opened[Symbol.asyncDispose]()
  await opened[Symbol.asyncDispose]()
  expect(closed).toEqual(['ram', 'lock'])
})

test('what was moved is closed by its new owner only', async () => {
  const { opened, closed } = recorded()
  const moved = opened.move()
  await opened[Symbol.asyncDispose]()
  expect(closed).toEqual([])
  await moved[Symbol.asyncDispose]()
  expect(closed).toEqual(['ram', 'lock'])
})

test('all are closed when some fail, and the first failure is told', async () => {
  const { opened, closed } = recorded()
  opened.defer(() => Promise.reject(new Error('second')))
  opened.defer(() => {
    throw new Error('first')
  })
  await expect(opened[Symbol.asyncDispose]()).rejects.toThrow('first')
  expect(closed).toEqual(['ram', 'lock'])
})
