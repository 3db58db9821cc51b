import { METHODS } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ApiProblem } from './problem.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route only says that its address does not answer its methods. */
    refusesMethod?: boolean
  }
}

/** CONNECT never reaches a route: it is no request for one. */
const NO_REQUEST = 'CONNECT'

/**
 * Has every method that an address does not have refused with 405 and an Allow header (RFC 9110, 15.5.6). Call it before
 * there are routes, and what it returns once there are all.
 */
export function refuseOtherMethods(app: FastifyInstance): () => void {
  const allowed = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const methods = allowed.get(url) ?? new Set()
    for (const each of [method].flat()) methods.add(each)
    allowed.set(url, methods)
  })
  return () => {
    for (const method of METHODS) {
      if (method !== NO_REQUEST && !app.supportedMethods.includes(method)) app.addHttpMethod(method)
    }
    for (const [url, methods] of allowed) {
      const allow = [...methods].sort().join(', ')
      const refuse = async (request: FastifyRequest, _reply: FastifyReply): Promise<never> => {
        throw new ApiProblem('METHOD_NOT_ALLOWED', `${url} answers ${allow}, found ${request.method}`, {
          headers: { allow },
        })
      }
      const method = app.supportedMethods.filter((each) => !methods.has(each))
      // Refused before a body is looked at, whatever it is.
      app.route({
        method,
        url,
        schema: { hide: true },
        config: { refusesMethod: true },
        onRequest: refuse,
        handler: refuse,
      })
    }
  }
}
