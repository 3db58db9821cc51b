import { expect, test, vi } from 'vitest'
import { api } from '../../test/api-under-test.ts'

test('however many probes and scrapes come at once, the hosts are asked once', async () => {
  const asked = vi.spyOn(api.fleet, 'hosts')
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, each) => api.app.inject(each % 2 ? '/readyz' : '/metrics')),
  )
  expect(answers.map(({ statusCode }) => statusCode)).toEqual(Array(20).fill(200))
  expect(asked).toHaveBeenCalledTimes(1)
  expect(answers.filter(({ body }) => body.includes('ullage_hosts{reachable="true"} 3\n'))).toHaveLength(10)
})

test('a Redis that hangs makes it not ready within two seconds, and costs a scrape the hosts alone', async () => {
  api.fleet.hosts = () => new Promise(() => undefined)
  const began = performance.now()
  const [ready, metrics] = await Promise.all([api.app.inject('/readyz'), api.app.inject('/metrics')])
  const tookMs = performance.now() - began
  expect(ready.statusCode).toBe(503)
  expect(ready.json()).toEqual({ ready: false, journal: 'ok', queue: 'redis does not answer' })
  expect(metrics.statusCode).toBe(200)
  expect(metrics.body).toContain('ullage_dumps{state="queued"} 0\n')
  expect(metrics.body).not.toMatch(/^ullage_hosts\{/m)
  expect(tookMs).toBeGreaterThan(1_900)
  // A busy machine is slow.
  expect(tookMs).toBeLessThan(6_000)
})
