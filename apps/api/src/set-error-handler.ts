import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { StoreError } from '@ullage/artifact-store'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { isJournalFailure } from './journal-failure.ts'
import { setSecurityHeaders } from './security-headers.ts'
import { ApiProblem, type ProblemCode } from './problem.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** Why the request was refused; undefined when it was not. */
    problemCode: ProblemCode | undefined
  }
}

/** Codes of Fastify's own refusals that have a row of ours. */
const byFastifyCode: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE',
}

/** So much of what a client sent is said back to it. */
const DETAIL_CHARACTERS = 1_000

/** Every error leaves as application/problem+json; what nobody foresaw as INTERNAL, its cause in the log only. */
export function setErrorHandler(app: FastifyInstance): void {
  app.decorateReply('problemCode')
  app.setErrorHandler((error: FastifyError | ApiProblem, request, reply) => {
    const problem = toProblem(error)
    if (problem.status >= 500) request.log.error({ err: error }, 'request failed')
    return sendProblem(reply, problem)
  })
  app.setNotFoundHandler((request, reply) => {
    return sendProblem(reply, new ApiProblem('ROUTE_UNKNOWN', `nothing answers ${request.method} here`))
  })
}

/** For what Fastify refuses before there is a route: an address that is no address. */
export function refuseEarly(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  setSecurityHeaders(reply.raw, false)
  void sendProblem(reply, toProblem(error))
}

function sendProblem(reply: FastifyReply, problem: ApiProblem) {
  reply.problemCode = problem.code
  return reply
    .code(problem.status)
    .headers({ 'x-content-type-options': 'nosniff', ...problem.headers })
    .type('application/problem+json; charset=utf-8')
    .serializer(JSON.stringify)
    .send(problem.toJSON())
}

function toProblem(error: FastifyError | ApiProblem): ApiProblem {
  if (error instanceof ApiProblem) return error
  if (error instanceof StoreError) return ofStore(error)
  if (hasZodFastifySchemaValidationErrors(error)) {
    const found = error.validation.map(({ instancePath, message }) => `${instancePath || '/'}: ${message ?? 'wrong'}`)
    const detail = `${error.validationContext ?? 'request'} ${found.join('; ')}`
    return new ApiProblem('REQUEST_INVALID', detail.slice(0, DETAIL_CHARACTERS))
  }
  if (isJournalFailure(error)) {
    return new ApiProblem('JOURNAL_UNWRITABLE', `nothing was accepted or changed: ${error.message}`, { cause: error })
  }
  const detail = error.message.slice(0, DETAIL_CHARACTERS)
  const code = byFastifyCode[error.code]
  if (code) return new ApiProblem(code, detail)
  const isCallers = typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500
  return isCallers
    ? new ApiProblem('REQUEST_INVALID', detail)
    : new ApiProblem('INTERNAL', 'the request could not be served', { cause: error })
}

/** What the store says may name buckets and keys: that is for the log. */
function ofStore(cause: StoreError): ApiProblem {
  const passes = cause.code === 'STORE_UNAVAILABLE' || cause.code === 'KEY_UNAVAILABLE'
  return passes
    ? new ApiProblem('STORE_UNAVAILABLE', 'the artifact cannot be had now', { cause })
    : new ApiProblem('ARTIFACT_UNREADABLE', `the artifact cannot be used (${cause.code})`, { cause })
}
