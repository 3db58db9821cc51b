import { expect, test } from 'vitest'
import { api } from '../test/api-under-test.ts'

const strict = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
}

test('every answer has them, whatever kind it is', async () => {
  const { id } = await api.publish(Buffer.from('vmcore'))
  const urls = [
    '/v1/dumps',
    '/v1/nothing',
    '/v1/dumps/x',
    '/v1/dumps/%zz',
    '/docs',
    '/metrics',
    `/v1/dumps/${id}/events`,
  ]
  for (const url of [...urls, `/v1/dumps/${id}/artifact`]) {
    const { headers } = await api.app.inject(url)
    expect(headers, `${url}`).toMatchObject(strict)
    expect(headers['content-security-policy'], `${url}`).toMatch(/^default-src 'none'/)
    expect(headers['cache-control'], `${url}`).toMatch(/no-store|private/)
    expect(headers, `${url}`).not.toHaveProperty('strict-transport-security')
  }
  const page = await api.app.inject('/docs')
  expect(page.headers['content-security-policy']).toContain("style-src 'unsafe-inline'")
})
