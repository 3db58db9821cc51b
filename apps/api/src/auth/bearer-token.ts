import { ApiProblem } from '../problem.ts'

/** RFC 6750, 2.1: the only way to send a token. In a query string it would end up in logs. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i

/** The token in an Authorization header. Throws ApiProblem UNAUTHENTICATED. */
export function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined) {
    throw new ApiProblem('UNAUTHENTICATED', 'expected a header Authorization: Bearer TOKEN, found none', {
      headers: { 'www-authenticate': 'Bearer realm="ullage"' },
    })
  }
  const token = BEARER.exec(authorization)?.[1]
  if (token === undefined) throw badToken('expected a header Authorization: Bearer TOKEN, found something else')
  return token
}

/** Why a token is not taken; never holds any of it. */
export function badToken(detail: string, cause?: unknown): ApiProblem {
  return new ApiProblem('UNAUTHENTICATED', detail, {
    cause,
    headers: { 'www-authenticate': 'Bearer realm="ullage", error="invalid_token"' },
  })
}
