import { z } from 'zod'

const EXPECTED = 'expected the http or https address of a collector that takes OTLP/HTTP, such as http://127.0.0.1:4318'

/** Where spans are sent, as `OTEL_EXPORTER_OTLP_ENDPOINT` says it: `/v1/traces` is added to its path. */
export const tracesEndpoint = z
  .url({ protocol: /^https?$/, error: EXPECTED })
  .transform((text) => new URL(text))
  .refine(
    ({ username, password, search, hash }) => !username && !password && !search && !hash,
    `${EXPECTED}, without a user, a password or a query; what a collector asks for goes into OTEL_EXPORTER_OTLP_HEADERS`,
  )
  .transform((url) => {
    url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/traces`
    return url.href
  })
