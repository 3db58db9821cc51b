import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import { AgentConversation } from './agent-conversation.ts'

/**
 * The talk with the guest's init over a serial line. QEMU connects to a socket of ours, so nothing has to be polled.
 */
export class GuestAgent extends AgentConversation {
  readonly #server: Server
  #socket: Socket | undefined

  private constructor(server: Server) {
    super((line) => this.#socket?.write(line))
    this.#server = server
    server.on('connection', (socket) => {
      this.#socket = socket
      server.close()
      socket.setEncoding('latin1')
      socket.on('data', (text: string) => this.take(text))
      socket.on('error', () => this.close('the line broke'))
      socket.on('close', () => this.close('QEMU is gone'))
    })
  }

  static async listen(path: string): Promise<GuestAgent> {
    const server = createServer()
    const agent = new GuestAgent(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    server.unref()
    return agent
  }

  override close(why: string): void {
    this.#server.close()
    this.#socket?.destroy()
    super.close(why)
  }
}
