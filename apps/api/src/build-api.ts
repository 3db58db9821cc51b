import { randomUUID } from 'node:crypto'
import type { RequestListener } from 'node:http'
import swagger from '@fastify/swagger'
import Fastify, { type FastifyBaseLogger } from 'fastify'
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import type { Traces } from '@ullage/traces'
import type { ApiParts } from './api-parts.ts'
import { type Guard, guardRoutes } from './auth/guard-routes.ts'
import { knownHostsOf } from './known-hosts.ts'
import { refuseOtherMethods } from './method-not-allowed.ts'
import { Metrics } from './metrics.ts'
import { readinessOf } from './readiness.ts'
import { refuseBrokenRequest, refuseExpectations } from './refuse-broken-requests.ts'
import { docsRoutes } from './routes/docs.ts'
import { dumpEventRoutes } from './routes/dump-events.ts'
import { dumpFileRoutes } from './routes/dump-files.ts'
import { dumpRoutes } from './routes/dumps.ts'
import { guestRoutes } from './routes/guests.ts'
import { healthRoutes } from './routes/health.ts'
import { hostRoutes } from './routes/hosts.ts'
import { addSecurityHeaders } from './security-headers.ts'
import { refuseEarly, setErrorHandler } from './set-error-handler.ts'
import type { TlsServers } from './tls-server.ts'
import { traceRequests } from './trace-requests.ts'
import type { TrustsProxy } from './trusted-proxies.ts'
import { sharedProbe } from './write-probe.ts'

/** A request's body fits in this; the largest that the schema takes is far smaller. */
const BODY_BYTES = 64 * 1024
const REQUEST_WITHIN_MS = 30_000

/** What stands between the API and who asks. */
export interface ApiSurroundings {
  /** Left out, it speaks plain HTTP. */
  readonly tls?: TlsServers | undefined
  /** Left out, requests are not traced. */
  readonly traces?: Traces | undefined
  /** Whose X-Forwarded headers are believed; left out, nobody's. */
  readonly trustsProxy?: TrustsProxy | undefined
}

/** The API as a Fastify application that does not listen yet. Without a guard everybody may do everything. */
export async function buildApi(
  parts: ApiParts,
  loggerInstance: FastifyBaseLogger,
  guard: Guard = {},
  { tls, traces, trustsProxy }: ApiSurroundings = {},
) {
  const app = Fastify({
    loggerInstance,
    bodyLimit: BODY_BYTES,
    // Unique over restarts, since the audit log names them.
    genReqId: () => randomUUID(),
    requestTimeout: REQUEST_WITHIN_MS,
    ...(trustsProxy && { trustProxy: trustsProxy }),
    ...(tls && {
      serverFactory: (handler: RequestListener) => tls.create(handler, { requestTimeoutMs: REQUEST_WITHIN_MS }),
    }),
    forceCloseConnections: 'idle',
    frameworkErrors: refuseEarly,
    clientErrorHandler: refuseBrokenRequest,
    routerOptions: { maxParamLength: 200 },
  }).withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  // Bodies are JSON; Fastify would take text as well.
  app.removeContentTypeParser('text/plain')
  setErrorHandler(app)
  refuseExpectations(app.server)
  const allRoutesAreThere = refuseOtherMethods(app)

  const knownHosts = knownHostsOf(parts.fleet)
  const writeProbe = sharedProbe(parts.writeProbe ?? (async () => undefined))
  const metrics = new Metrics(parts.journal, { knownHosts, writeProbe })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown'
    metrics.requests.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000)
  })
  if (traces) traceRequests(app, traces)
  addSecurityHeaders(app)

  await guardRoutes(app, guard, parts.journal)

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Ullage',
        version: '1',
        description: 'Dumps of guest memory that never read what is not there.',
      },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'a static key, or a JWT with the claim scope' },
        },
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
  const { journal, refusal } = parts
  const readiness = readinessOf({ journal, knownHosts, writeProbe, refusal, log: loggerInstance })
  healthRoutes(app, { readiness, metrics })
  docsRoutes(app)
  await parts.board?.register(app)
  allRoutesAreThere()
  return app
}
