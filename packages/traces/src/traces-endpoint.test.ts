import { expect, test } from 'vitest'
import { tracesEndpoint } from './traces-endpoint.ts'

test.each([
  ['http://127.0.0.1:4318', 'http://127.0.0.1:4318/v1/traces'],
  ['http://127.0.0.1:4318/', 'http://127.0.0.1:4318/v1/traces'],
  ['https://collector.example/otlp//', 'https://collector.example/otlp/v1/traces'],
])('spans for %s go to %s', (text, url) => {
  expect(tracesEndpoint.parse(text)).toBe(url)
})

test.each([
  '',
  'collector:4318',
  'grpc://collector:4317',
  'file:///etc/passwd',
  'http://a:secret@b',
  'http://b?k=secret',
])('%j is refused, and not repeated', (text) => {
  const { error } = tracesEndpoint.safeParse(text)
  expect(error?.issues[0]?.message).toMatch(/^expected the http or https address/)
  expect(error?.message).not.toContain('secret')
})
