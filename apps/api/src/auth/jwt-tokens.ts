import { tenantId } from '@ullage/dump-job'
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from 'jose'
import { z } from 'zod'
import { ApiProblem } from '../problem.ts'
import { badToken } from './bearer-token.ts'
import { needNoTenant, type Principal, type Scope, scope } from './principal.ts'

/** Asymmetric ones only: with a symmetric one, who can check a token could also make one, out of a public key. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/** The key server answers within this time, or its keys cannot be had, in milliseconds. */
const ANSWER_WITHIN_MS = 5_000
/** A key that the server has taken back is used no longer than this, in milliseconds. */
const KEYS_KEPT_MS = 10 * 60_000
/** Tokens that name unknown keys make the server be asked at most this often, in milliseconds. */
const COOL_DOWN_MS = 30_000
/** How far clocks may be apart, in seconds. */
const CLOCK_SECONDS = 5

export interface JwtSettings {
  readonly jwksUrl: URL
  readonly issuer: string
  readonly audience: string
  /** Claim that names the tenant. */
  readonly tenantClaim: string
  readonly coolDownMs?: number
}

const subject = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\x21-\x7e]+$/)
const scopes = z.union([z.string().transform((text) => text.split(' ')), z.array(z.string())])

/** Checks JWTs against the keys of an issuer, which are fetched when they are needed and again when one is unknown. */
export class JwtTokens {
  readonly #settings: JwtSettings
  readonly #keys: JWTVerifyGetKey

  constructor(settings: JwtSettings) {
    this.#settings = settings
    this.#keys = createRemoteJWKSet(settings.jwksUrl, {
      timeoutDuration: ANSWER_WITHIN_MS,
      cooldownDuration: settings.coolDownMs ?? COOL_DOWN_MS,
      cacheMaxAge: KEYS_KEPT_MS,
    })
  }

  /** Whose token it is. Throws ApiProblem UNAUTHENTICATED, or AUTH_UNREACHABLE when the keys cannot be had. */
  async principal(token: string): Promise<Principal> {
    const { issuer, audience } = this.#settings
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        requiredClaims: ['sub', 'exp'],
        clockTolerance: CLOCK_SECONDS,
      })
      return this.#principalOf(payload)
    } catch (error) {
      throw error instanceof ApiProblem ? error : refused(error)
    }
  }

  #principalOf(payload: JWTPayload): Principal {
    const { tenantClaim } = this.#settings
    const sub = subject.safeParse(payload.sub)
    if (!sub.success) throw badToken('expected a claim sub of 1 to 200 printable characters without spaces')
    const asked = scopes.safeParse(payload.scope ?? '')
    if (!asked.success) throw badToken('expected a claim scope that is a list of scopes')
    const granted = new Set<Scope>(asked.data.flatMap((each) => scope.safeParse(each).data ?? []))
    const claim = Object.hasOwn(payload, tenantClaim) ? payload[tenantClaim] : undefined
    const tenant = tenantId.nullable().safeParse(claim ?? null)
    if (!tenant.success) throw badToken(`expected the claim ${tenantClaim} to be the id of a tenant`)
    if (tenant.data === null && !needNoTenant(granted)) {
      throw badToken(`expected a tenant in the claim ${tenantClaim}, or the scope admin, or metrics:read alone`)
    }
    const { exp } = payload
    return {
      id: `jwt:${sub.data}`,
      tenant: tenant.data,
      scopes: granted,
      ...(exp !== undefined && { expiresMs: (exp + CLOCK_SECONDS) * 1000 }),
    }
  }
}

/** Signatures are checked before claims, so what is said of claims is said to who has a token of the issuer's. */
function refused(error: unknown): ApiProblem {
  if (error instanceof errors.JWTExpired) return badToken('the token has expired')
  if (error instanceof errors.JWTClaimValidationFailed) return badToken(`the token's claim ${error.claim} does not fit`)
  const isTokens = [
    errors.JWSInvalid,
    errors.JWTInvalid,
    errors.JOSEAlgNotAllowed,
    errors.JOSENotSupported,
    errors.JWKSNoMatchingKey,
    errors.JWKSMultipleMatchingKeys,
    errors.JWSSignatureVerificationFailed,
  ].some((kind) => error instanceof kind)
  if (isTokens) return badToken('the token is not one that is accepted here')
  return new ApiProblem('AUTH_UNREACHABLE', 'the keys of the issuer could not be fetched', { cause: error })
}
