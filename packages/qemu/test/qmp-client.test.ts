import { writeFileSync } from 'node:fs'
import { type Socket } from 'node:net'
import { join } from 'node:path'
import { QmpClient } from '@ullage/qemu'
import { describe, expect, it } from 'vitest'
import { afterGreeting, folder, withServer } from './monitor-double.ts'

describe('QmpClient against what is not a monitor of its own', () => {
  it('says that nobody listens', async () => {
    const missing = join(folder, 'missing')
    await expect(QmpClient.connect(missing)).rejects.toMatchObject({
      code: 'NOT_LISTENING',
      message: `expected a qmp socket, found nothing at ${missing}; start qemu with -qmp unix:${missing},server=on,wait=off, or correct the path`,
    })
    const file = join(folder, 'file')
    writeFileSync(file, '')
    await expect(QmpClient.connect(file)).rejects.toMatchObject({ code: 'NOT_LISTENING' })
    await expect(QmpClient.connect(join(folder, 'x'.repeat(200)))).rejects.toMatchObject({ code: 'NOT_LISTENING' })
  })

  it.each([
    ['text', (socket: Socket) => void socket.write('220 mail.example ESMTP\r\n')],
    ['other JSON', (socket: Socket) => void socket.write('{"hello": 1}\n')],
    ['an end', (socket: Socket) => void socket.end()],
    [
      'an endless line',
      (socket: Socket) => {
        const more = (): void => {
          while (!socket.destroyed && socket.write(Buffer.alloc(1 << 20, 'x')));
        }
        socket.on('drain', more)
        more()
      },
    ],
  ])('says that %s is no QMP', async (_name, talk) => {
    await withServer(talk, (path) => expect(QmpClient.connect(path)).rejects.toMatchObject({ code: 'NOT_A_MONITOR' }))
  })

  it('says what to do when the connection stays silent', async () => {
    await withServer(
      () => undefined,
      async (path) => {
        const started = performance.now()
        const connecting = QmpClient.connect(path, { greetingTimeoutMs: 50 })
        await expect(connecting).rejects.toMatchObject({
          code: 'MONITOR_BUSY',
          message: expect.stringMatching(/-qmp unix/),
        })
        expect(performance.now() - started).toBeLessThan(1500)
      },
    )
  })

  it('gives up when aborted, before and while it waits', async () => {
    await withServer(
      () => undefined,
      async (path) => {
        await expect(QmpClient.connect(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({
          name: 'AbortError',
        })
        const waiting = QmpClient.connect(path, { signal: AbortSignal.timeout(30) })
        await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' })
      },
    )
  })

  const ends: [string, (socket: Socket) => void, string][] = [
    ['closes', (socket) => void socket.destroy(), 'GONE'],
    ['answers with nonsense', (socket) => void socket.write('nonsense\n'), 'UNEXPECTED_ANSWER'],
    ['answers without id', (socket) => void socket.write('{"return": {}}\n'), 'UNEXPECTED_ANSWER'],
    ['says nothing', () => undefined, 'TIMEOUT'],
  ]
  it.each(ends)('ends a command when the other side %s', async (_name, next, code) => {
    await withServer(afterGreeting(next), async (path) => {
      const client = await QmpClient.connect(path)
      await expect(client.execute('stop', {}, { timeoutMs: 100 })).rejects.toMatchObject({ code })
      client.close()
      await expect(client.execute('stop')).rejects.toBeInstanceOf(Error)
    })
  })

  it('takes answers in any order, in pieces, with events between', async () => {
    const lines: string[] = []
    await withServer(
      afterGreeting((socket, data) => {
        lines.push(...data.trim().split('\n'))
        if (lines.length < 2) return
        const ids = lines.map((line) => Number(/"id":(\d+)/.exec(line)?.[1]))
        const text = `{"return": "b", "id": ${ids[1]}}\n{"event": "STOP", "timestamp": {"seconds": 1700000000, "microseconds": 250000}}\n{"return": "a", "id": ${ids[0]}}\n`
        for (const byte of Buffer.from(text)) socket.write(Buffer.of(byte))
      }),
      async (path) => {
        using client = await QmpClient.connect(path)
        const events: string[] = []
        client.onEvent(({ name }) => events.push(name))
        expect(await Promise.all([client.execute('one'), client.execute('two')])).toEqual(['a', 'b'])
        expect(events).toEqual(['STOP'])
      },
    )
  })
})
