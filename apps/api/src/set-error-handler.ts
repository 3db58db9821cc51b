import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { isJournalFailure } from './journal-failure.ts'
import { ApiProblem, type ProblemCode } from './problem.ts'

/** Codes of Fastify's own refusals that have a row of ours. */
const byFastifyCode: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE',
}

/** Every error leaves as application/problem+json; what nobody foresaw as INTERNAL, its cause in the log only. */
export function setErrorHandler(app: FastifyInstance): void {
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
  void sendProblem(reply, toProblem(error))
}

function sendProblem(reply: FastifyReply, problem: ApiProblem) {
  return reply
    .code(problem.status)
    .headers(problem.headers)
    .type('application/problem+json; charset=utf-8')
    .serializer(JSON.stringify)
    .send(problem.toJSON())
}

function toProblem(error: FastifyError | ApiProblem): ApiProblem {
  if (error instanceof ApiProblem) return error
  if (hasZodFastifySchemaValidationErrors(error)) {
    const found = error.validation.map(({ instancePath, message }) => `${instancePath || '/'}: ${message ?? 'wrong'}`)
    return new ApiProblem('REQUEST_INVALID', `${error.validationContext ?? 'request'} ${found.join('; ')}`)
  }
  if (isJournalFailure(error)) {
    return new ApiProblem('JOURNAL_UNWRITABLE', `nothing was accepted or changed: ${error.message}`, { cause: error })
  }
  const code = byFastifyCode[error.code]
  if (code) return new ApiProblem(code, error.message)
  const isCallers = typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500
  return isCallers
    ? new ApiProblem('REQUEST_INVALID', error.message)
    : new ApiProblem('INTERNAL', 'the request could not be served', { cause: error })
}
