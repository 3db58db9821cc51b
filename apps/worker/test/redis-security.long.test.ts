import { startRedisCluster, startRedisSentinels } from '@ullage/lab'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { expectRefused, expectSecret, SecuredRedis } from './redis-security.ts'
import { expectGoesOn, expectWholeWay, startOn } from './redis-set-checks.ts'
import { until } from './start-service.ts'

/** Redis of several servers with TLS, whose default user is off. */
let stack: AsyncDisposableStack
let secured: SecuredRedis
beforeEach(() => {
  stack = new AsyncDisposableStack()
  secured = stack.use(new SecuredRedis())
})
afterEach(() => stack.disposeAsync())

test('Sentinels with a password of their own: the whole way, a failover, and each refusal in a sentence', async () => {
  const { set, service, worker } = await startOn(stack, startRedisSentinels(secured.security), secured.trusts)
  await expectWholeWay(service)
  const [master = 0] = await set.masters()
  await expectGoesOn(service, worker, async () => {
    await set.kill(master)
    await until('there is another master', async () => (await set.masters())[0] !== master, 120_000)
  })
  expectSecret(worker, service.api)

  const { trusts } = secured
  const wrong = { ...trusts, ULLAGE_REDIS_URL: set.url.replace('pass%2Fword', 'pass%2Fword2') }
  await expectRefused(service, wrong, /Redis refuses the user or password of the address: WRONGPASS/)
  const wrongOfSentinels = { ...trusts, ULLAGE_REDIS_URL: set.url.replace('pass%26word', 'pass%26word2') }
  await expectRefused(service, wrongOfSentinels, /the Sentinels refuse the user or password of the address: WRONGPASS/)
  const none = { ...trusts, ULLAGE_REDIS_URL: set.url.replace(/\?.*/, '') }
  await expectRefused(service, none, /the Sentinels refuse the user or password of the address: NOAUTH/)
  await expectRefused(service, secured.trustsAnother, /TLS with Redis does not come about: self-signed/)
})

test('a Cluster: the whole way, and each refusal in a sentence', async () => {
  const { set, service, worker } = await startOn(
    stack,
    startRedisCluster({ security: secured.security }),
    secured.trusts,
  )
  expect(await set.masters()).toHaveLength(3)
  await expectWholeWay(service)
  expectSecret(worker, service.api)

  const wrong = { ...secured.trusts, ULLAGE_REDIS_URL: set.url.replace('pass%2Fword', 'pass%2Fword2') }
  await expectRefused(service, wrong, /Redis refuses the user or password of the address: WRONGPASS/)
  await expectRefused(service, secured.trustsAnother, /TLS with Redis does not come about: self-signed/)
})
