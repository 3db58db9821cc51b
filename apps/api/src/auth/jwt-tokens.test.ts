import { expect, test } from 'vitest'
import { KeyServer } from '../../test/key-server.ts'
import { JwtTokens } from './jwt-tokens.ts'

const acme = { tenant: 'acme', scope: 'dumps:read' }

test('a token of a new key is taken, one of a key that was taken back is not', async () => {
  await using issuer = await KeyServer.start()
  const tokens = new JwtTokens(issuer.settings)
  const old = await issuer.sign(acme)
  expect(await tokens.principal(old)).toEqual({
    expiresMs: expect.any(Number),
    id: 'jwt:alice',
    tenant: 'acme',
    scopes: new Set(['dumps:read']),
  })
  await tokens.principal(old)
  expect(issuer.asked).toBe(1)
  await issuer.rotate()
  expect(await tokens.principal(await issuer.sign(acme))).toMatchObject({ tenant: 'acme' })
  expect(issuer.asked).toBe(2)
  await expect(tokens.principal(old)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
})

test('unknown keys do not make the issuer be asked again and again', async () => {
  await using issuer = await KeyServer.start()
  await using stranger = await KeyServer.start()
  const tokens = new JwtTokens({ ...issuer.settings, coolDownMs: 60_000 })
  await tokens.principal(await issuer.sign(acme))
  for (let each = 0; each < 20; each++) {
    await expect(tokens.principal(await stranger.sign(acme))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  }
  expect(issuer.asked).toBe(1)
})

test('an issuer that does not answer is no fault of the token', async () => {
  await using issuer = await KeyServer.start()
  const tokens = new JwtTokens(issuer.settings)
  issuer.broken = true
  const token = await issuer.sign(acme)
  await expect(tokens.principal(token)).rejects.toMatchObject({ code: 'AUTH_UNREACHABLE', status: 503 })
  issuer.broken = false
  expect(await tokens.principal(token)).toMatchObject({ tenant: 'acme' })
})

test('the claim that names the tenant can be another one', async () => {
  await using issuer = await KeyServer.start()
  const tokens = new JwtTokens({ ...issuer.settings, tenantClaim: 'https://ullage.example/org' })
  const token = await issuer.sign({
    'https://ullage.example/org': 'acme',
    tenant: 'other',
    scope: 'openid dumps:read x',
  })
  expect(await tokens.principal(token)).toEqual({
    expiresMs: expect.any(Number),
    id: 'jwt:alice',
    tenant: 'acme',
    scopes: new Set(['dumps:read']),
  })
  const proto = new JwtTokens({ ...issuer.settings, tenantClaim: 'constructor' })
  await expect(proto.principal(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
})
