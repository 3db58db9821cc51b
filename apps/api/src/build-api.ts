import swagger from '@fastify/swagger'
import Fastify, { type FastifyBaseLogger } from 'fastify'
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import type { ApiParts } from './api-parts.ts'
import { Metrics } from './metrics.ts'
import { docsRoutes } from './routes/docs.ts'
import { dumpEventRoutes } from './routes/dump-events.ts'
import { dumpFileRoutes } from './routes/dump-files.ts'
import { dumpRoutes } from './routes/dumps.ts'
import { guestRoutes } from './routes/guests.ts'
import { healthRoutes } from './routes/health.ts'
import { hostRoutes } from './routes/hosts.ts'
import { refuseEarly, setErrorHandler } from './set-error-handler.ts'

/** A request's body fits in this; the largest that the schema takes is far smaller. */
const BODY_BYTES = 64 * 1024
const REQUEST_WITHIN_MS = 30_000

/** The API as a Fastify application that does not listen yet. */
export async function buildApi(parts: ApiParts, loggerInstance: FastifyBaseLogger) {
  const app = Fastify({
    loggerInstance,
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_WITHIN_MS,
    forceCloseConnections: 'idle',
    frameworkErrors: refuseEarly,
    routerOptions: { maxParamLength: 200 },
  }).withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  // Bodies are JSON; Fastify would take text as well.
  app.removeContentTypeParser('text/plain')
  setErrorHandler(app)

  const metrics = new Metrics(parts.journal, parts.fleet)
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown'
    metrics.requests.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000)
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
  })

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Ullage',
        version: '1',
        description: 'Dumps of guest memory that never read what is not there.',
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
  dumpRoutes(app, parts)
  dumpEventRoutes(app, parts)
  dumpFileRoutes(app, parts)
  guestRoutes(app, parts)
  hostRoutes(app, parts)
  healthRoutes(app, parts, metrics)
  docsRoutes(app)
  return app
}
