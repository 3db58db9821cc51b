import { type Socket } from 'node:net'
import { QmpClient, refuseUnsuitable } from '@ullage/qemu'
import { describe, expect, it } from 'vitest'
import { afterGreeting, withServer } from './monitor-double.ts'

/** A QEMU made of answers: what a machine without the hardware cannot start. */
function answering(answers: Record<string, unknown>): (socket: Socket) => void {
  return afterGreeting((socket, data) => {
    for (const line of data.trim().split('\n')) {
      const { execute, id, arguments: args } = JSON.parse(line) as { execute: string; id: number; arguments: object }
      const answer = answers[`${execute} ${Object.values(args).join(' ')}`.trim()]
      const error = { class: 'CommandNotFound', desc: `The command ${execute} has not been found` }
      socket.write(`${JSON.stringify(answer === undefined ? { error, id } : { return: answer, id })}\n`)
    }
  })
}

describe('refuseUnsuitable', () => {
  const support = 'qom-get /machine confidential-guest-support'
  const running = { 'query-status': { status: 'running', running: true }, [support]: '' }
  const unsuitable: [string, Record<string, unknown>, RegExp][] = [
    [
      'a guest that arrives',
      { ...running, 'query-status': { status: 'inmigrate' } },
      /waits for an incoming migration/,
    ],
    ['postcopy', { ...running, 'query-migrate': { status: 'postcopy-active' } }, /in a migration \(postcopy-active\)/],
    ['an active migration', { ...running, 'query-migrate': { status: 'active' } }, /in a migration \(active\)/],
    ['SEV', { ...running, 'query-sev': { enabled: true } }, /confidential guest \(SEV\)/],
    ['TDX', { ...running, [support]: '/objects/t0', 'qom-get /objects/t0 type': 'tdx-guest' }, /guest \(tdx-guest\)/],
  ]
  it.each(unsuitable)('refuses %s', async (_name, answers, message) => {
    await withServer(answering(answers), async (path) => {
      using client = await QmpClient.connect(path)
      await expect(refuseUnsuitable(client)).rejects.toMatchObject({
        code: 'UNSUITABLE',
        message: expect.stringMatching(message),
      })
    })
  })

  const suitable: [string, Record<string, unknown>][] = [
    ['a QEMU without these commands', running],
    ['a migration that has ended', { ...running, 'query-migrate': { status: 'completed' } }],
    ['a host without SEV', { ...running, 'query-migrate': {}, 'query-sev': { enabled: false } }],
  ]
  it.each(suitable)('lets %s pass', async (_name, answers) => {
    await withServer(answering(answers), async (path) => {
      using client = await QmpClient.connect(path)
      await refuseUnsuitable(client)
    })
  })
})
