import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LabRedis } from '@ullage/lab'
import { Redis } from 'ioredis'
import { until } from '../start-service.ts'

/** A private Redis that can be killed, frozen and flushed, and comes back at the same address. */
export class FaultyRedis implements LabRedis {
  readonly folder = mkdtempSync(join(tmpdir(), 'ullage-faulty-redis-'))
  readonly socketPath = join(this.folder, 'redis.sock')
  readonly url = `unix:${this.socketPath}`
  readonly #appendOnly: boolean
  #process: ChildProcess | undefined

  private constructor(appendOnly: boolean) {
    this.#appendOnly = appendOnly
  }

  /** With `appendOnly` it has what it was told when it comes back, without it has nothing. */
  static async start({ appendOnly }: { readonly appendOnly: boolean }): Promise<FaultyRedis> {
    const redis = new FaultyRedis(appendOnly)
    await redis.revive()
    return redis
  }

  get pid(): number {
    const pid = this.#process?.pid
    if (pid === undefined) throw new Error('this Redis does not run')
    return pid
  }

  /** SIGKILL: it dies without a word. */
  async kill(): Promise<void> {
    const dying = this.#process
    if (!dying || dying.exitCode !== null || dying.signalCode !== null) return
    const ended = once(dying, 'exit')
    dying.kill('SIGKILL')
    await ended
  }

  /** Starts it, again, and waits until it answers. */
  async revive(): Promise<void> {
    const argv = ['--port', '0', '--unixsocket', this.socketPath, '--dir', this.folder, '--save', '']
    argv.push('--appendonly', this.#appendOnly ? 'yes' : 'no', '--maxmemory-policy', 'noeviction')
    // The kernel ends it with this process, however that ends.
    this.#process = spawn('setpriv', ['--pdeathsig', 'KILL', 'redis-server', ...argv], { stdio: 'ignore' })
    await until('Redis answers', () =>
      this.ask((client) => client.ping()).then(
        () => true,
        () => false,
      ),
    )
  }

  /** It stands still and keeps its connections, until `thaw`. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP')
  }

  thaw(): void {
    process.kill(this.pid, 'SIGCONT')
  }

  async flush(): Promise<void> {
    await this.ask((client) => client.flushall())
  }

  /** One question on a connection of its own. */
  async ask<T>(question: (client: Redis) => Promise<T>): Promise<T> {
    const client = new Redis({ path: this.socketPath, retryStrategy: () => null, lazyConnect: true })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return await question(client)
    } finally {
      client.disconnect()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
