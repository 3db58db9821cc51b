import type { ZodInstance } from '../api-parts.ts'
import { docsPage } from '../docs-page.ts'

/** The OpenAPI document, and a page that shows it, without scripts and without anything from elsewhere. */
export function docsRoutes(app: ZodInstance): void {
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    return reply.type('application/json; charset=utf-8').serializer(JSON.stringify).send(app.swagger())
  })

  app.get('/docs', { schema: { hide: true } }, async (_request, reply) => {
    return reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
      .serializer((text: string) => text)
      .send(docsPage(app.swagger()))
  })
}
