import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CertificateAuthority, type RedisSecurity } from '@ullage/lab'
import { expect } from 'vitest'
import { DOUBLE } from './redis-set-checks.ts'
import { API_MAIN, type Running, type Service, until } from './start-service.ts'

/** Users, passwords and certificates of a Redis, in a folder that goes with them. The passwords need percent-encoding. */
export class SecuredRedis implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ullage-redis-security-'))
  readonly #stranger = new CertificateAuthority(this.#folder, 'stranger')
  readonly security: RedisSecurity

  constructor() {
    const authority = new CertificateAuthority(this.#folder, 'authority')
    const password = 'pass/word@of:ullage'
    const sentinelPassword = 'pass&word=of+sentinels'
    const certificate = authority.issue('server')
    this.security = { caFile: authority.certFile, ...certificate, user: 'ullage', password, sentinelPassword }
  }

  /** Settings of a process that trusts who signed the servers' certificate. */
  get trusts(): Record<string, string> {
    return { NODE_EXTRA_CA_CERTS: this.security.caFile }
  }

  /** Settings of a process that trusts somebody else. */
  get trustsAnother(): Record<string, string> {
    return { NODE_EXTRA_CA_CERTS: this.#stranger.certFile }
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true })
  }
}

/** That none of the processes has said a password, as it is or as the address has it. */
export function expectSecret(...processes: readonly Running[]): void {
  for (const { log } of processes) expect(log()).not.toMatch(/pass(\/|%2f|&|%26)word/i)
}

/** A worker with these settings ends with status 2, and an API goes on and is not ready; both say why in this sentence. */
export async function expectRefused(
  service: Service,
  settings: Record<string, string>,
  sentence: RegExp,
): Promise<void> {
  const other = { ...settings, ULLAGE_HOST_ID: 'h9', ULLAGE_API_LISTEN: '127.0.0.1:0' }
  const worker = service.start(DOUBLE, { ...other, ULLAGE_STATE_DIR: join(service.folder, 'other-worker') })
  const api = service.start(API_MAIN, { ...other, ULLAGE_STATE_DIR: join(service.folder, 'other-api') })
  await until(
    () => `the worker ends: ${worker.log()}`,
    () => worker.process.exitCode !== null && /^ULLAGE_REDIS_URL.*\n$/m.test(worker.log()),
  )
  expect(worker.process.exitCode).toBe(2)
  expect(worker.log()).toMatch(new RegExp(`^ULLAGE_REDIS_URL: ${sentence.source}.*$`, 'm'))
  const address = () => /"url":"([^"]+)"/.exec(api.log())?.[1]
  await until(
    () => `the API listens: ${api.log()}`,
    () => address() !== undefined,
  )
  let said = ''
  await until(
    () => `the API says why it is not ready: ${said}`,
    async () => {
      const answer = await fetch(`${address()}/readyz`)
      said = `${answer.status} ${await answer.text()}`
      return answer.status === 503 && /"redis refuses this process \((?:login|TLS)\)"/.test(said)
    },
  )
  const told = () => api.log().match(/redis refuses this process/g)
  // What it answers may be here before what it logged.
  await until('the API logs it', () => told() !== null)
  expect(told()).toHaveLength(1)
  expect(api.log()).toMatch(sentence)
  expectSecret(worker, api)
  await api.kill('SIGTERM')
  expect(api.process.exitCode).toBe(0)
}
