import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'

const ISSUER = 'https://id.example'
const AUDIENCE = 'ullage'

interface SigningKey {
  readonly kid: string
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
}

/** An issuer of tokens: a real HTTP server with its public keys, and the private ones to sign with. */
export class KeyServer implements AsyncDisposable {
  readonly #server = createServer((_request, response) => {
    this.asked++
    if (this.broken) return response.writeHead(500).end()
    void this.#published().then((keys) => response.end(JSON.stringify({ keys })))
  })
  #keys: SigningKey[] = []
  /** How often its keys were fetched. */
  asked = 0
  broken = false

  static async start(): Promise<KeyServer> {
    const server = new KeyServer()
    await server.rotate()
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  /** As the settings of an API name it. */
  get settings() {
    const { port } = this.#server.address() as AddressInfo
    const jwksUrl = new URL(`http://127.0.0.1:${port}/jwks`)
    return { jwksUrl, issuer: ISSUER, audience: AUDIENCE, tenantClaim: 'tenant', coolDownMs: 0 }
  }

  get kid(): string {
    return this.#newest().kid
  }

  /** A new key to sign with, which is published; the earlier ones are no longer. */
  async rotate(): Promise<void> {
    const pair = await generateKeyPair('ES256', { extractable: true })
    this.#keys = [{ kid: `key-${crypto.randomUUID()}`, ...pair }]
  }

  /** A token with these claims, and what the API asks for unless they say otherwise. */
  async sign(claims: Record<string, unknown>): Promise<string> {
    const { kid, privateKey } = this.#newest()
    const now = Math.floor(Date.now() / 1000)
    return new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: 'alice', iat: now, exp: now + 300, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid })
      .sign(privateKey)
  }

  /** A token that names a symmetric algorithm and is signed with the text of the public key. */
  async signWithPublicKey(claims: Record<string, unknown>): Promise<string> {
    const { kid, publicKey } = this.#newest()
    return new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: 'alice', ...claims })
      .setExpirationTime('5m')
      .setProtectedHeader({ alg: 'HS256', kid })
      .sign(new TextEncoder().encode(await exportSPKI(publicKey)))
  }

  /** A token with a header that says it is not signed. */
  async unsigned(claims: Record<string, unknown>): Promise<string> {
    const [, payload] = (await this.sign(claims)).split('.')
    return `${Buffer.from(JSON.stringify({ alg: 'none', kid: this.kid })).toString('base64url')}.${payload}.`
  }

  async #published() {
    return Promise.all(
      this.#keys.map(async ({ kid, publicKey }) => ({
        ...(await exportJWK(publicKey)),
        kid,
        alg: 'ES256',
        use: 'sig',
      })),
    )
  }

  #newest(): SigningKey {
    const key = this.#keys.at(-1)
    if (!key) throw new Error('the key server has no key yet')
    return key
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}
