import { resolve } from 'node:path'
import { z } from 'zod'
import type { TlsFiles } from './tls-server.ts'

const file = z
  .string()
  .min(1, 'expected the path of a PEM file')
  .transform((path) => resolve(path))
  .optional()

/** Settings that turn TLS on. */
export const tlsSettings = { ULLAGE_TLS_CERT_FILE: file, ULLAGE_TLS_KEY_FILE: file, ULLAGE_TLS_CLIENT_CA_FILE: file }
const settings = z.object(tlsSettings)

/** What the settings say together; undefined for no TLS. `complain` is told of one that another one needs. */
export function readTlsConfig(
  data: z.output<typeof settings>,
  complain: (setting: string, message: string) => void,
): TlsFiles | undefined {
  const { ULLAGE_TLS_CERT_FILE: certFile, ULLAGE_TLS_KEY_FILE: keyFile, ULLAGE_TLS_CLIENT_CA_FILE: clientCaFile } = data
  if (certFile !== undefined && keyFile !== undefined) {
    return { certFile, keyFile, ...(clientCaFile !== undefined && { clientCaFile }) }
  }
  if ((certFile ?? keyFile ?? clientCaFile) === undefined) return undefined
  for (const name of ['ULLAGE_TLS_CERT_FILE', 'ULLAGE_TLS_KEY_FILE'] as const) {
    if (data[name] === undefined) complain(name, 'TLS needs a certificate and its key')
  }
  return undefined
}
