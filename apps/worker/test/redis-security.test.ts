import { startRedisServer } from '@ullage/lab'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectRefused, expectSecret, SecuredRedis } from './redis-security.ts'
import { expectGoesOn, expectWholeWay, type OnRedisSet, startOn } from './redis-set-checks.ts'
import { until } from './start-service.ts'

/** One Redis with TLS whose default user is off. */
let stack: AsyncDisposableStack
let secured: SecuredRedis
let on: OnRedisSet
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  secured = stack.use(new SecuredRedis())
  on = await startOn(stack, startRedisServer(secured.security), secured.trusts)
})
afterAll(() => stack.disposeAsync())

test('the whole way, with TLS and a user', async () => {
  await expectWholeWay(on.service)
  expectSecret(on.worker, on.service.api)
})

test('a wrong password, no password and a certificate of somebody else are told in a sentence', async () => {
  const { service, set } = on
  const wrong = { ...secured.trusts, ULLAGE_REDIS_URL: set.url.replace('pass%2Fword', 'pass%2Fword2') }
  await expectRefused(service, wrong, /Redis refuses the user or password of the address: WRONGPASS/)
  const none = { ...secured.trusts, ULLAGE_REDIS_URL: set.url.replace(/\/\/.*@/, '//') }
  await expectRefused(service, none, /Redis refuses the user or password of the address: NOAUTH/)
  await expectRefused(service, secured.trustsAnother, /TLS with Redis does not come about: self-signed/)
})

test('while the password is another one nothing ends, and the log says why; dumps go on when it is back', async () => {
  const { service, set, worker } = on
  const { user, password } = secured.security
  const [port = 0] = await set.masters()
  await expectGoesOn(service, worker, async () => {
    await set.ask(port, 'ACL', 'SETUSER', user, 'resetpass', '>pass/word3')
    await set.ask(port, 'CLIENT', 'KILL', 'USER', user)
    await until(
      () => `both say that they are refused: ${worker.log().slice(-2_000)} ${service.api.log().slice(-2_000)}`,
      () => [worker, service.api].every(({ log }) => log().includes('redis refuses this process')),
    )
    expect((await service.request('/readyz')).status).toBe(503)
    await set.ask(port, 'ACL', 'SETUSER', user, 'resetpass', `>${password}`)
  })
  expect((await service.request('/readyz')).status).toBe(200)
  expectSecret(worker, service.api)
})
