import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** Where its sockets are. */
export const folder = mkdtempSync('/tmp/ullage-monitor-')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let served = 0
/** A unix socket server that answers each connection with `talk`, for the length of `body`. */
export async function withServer(
  talk: (socket: Socket) => void,
  body: (path: string) => Promise<unknown>,
): Promise<void> {
  const path = join(folder, `s${served++}`)
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    sockets.push(socket)
    talk(socket)
  })
  await new Promise<void>((resolve) => void server.listen(path, resolve))
  try {
    await body(path)
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

const greeting =
  '{"QMP": {"version": {"qemu": {"micro": 1, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}\r\n'

/** Answers capabilities, then leaves the next command to `next`. */
export function afterGreeting(next: (socket: Socket, line: string) => void): (socket: Socket) => void {
  return (socket) => {
    socket.write(greeting)
    socket.on('data', (data: Buffer) => {
      const line = data.toString()
      if (line.includes('qmp_capabilities')) socket.write('{"return": {}, "id": 1}\r\n')
      else next(socket, line)
    })
  }
}
