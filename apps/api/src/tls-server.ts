import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { createServer as createHttpsServer, type Server } from 'node:https'
import type { RequestListener } from 'node:http'
import { createSecureContext } from 'node:tls'

export interface TlsFiles {
  /** Certificate and those between it and its authority, PEM. */
  readonly certFile: string
  readonly keyFile: string
  /** Authorities of client certificates, PEM; when given, a client without one of theirs is not talked to. */
  readonly clientCaFile?: string
}

export interface TlsServerOptions {
  readonly requestTimeoutMs: number
}

/** A client that has not shaken hands by then is dropped, in milliseconds. */
const HANDSHAKE_WITHIN_MS = 10_000
/** As Fastify has it without TLS, in milliseconds. */
const KEEP_ALIVE_MS = 72_000
const OTHERS = 0o007

/** Makes HTTPS servers, and gives those that run new certificates. */
export class TlsServers {
  readonly #files: TlsFiles
  readonly #servers = new Set<Server>()

  /** Reads the files. Throws when they cannot be used, or when others than owner and group can read the key. */
  constructor(files: TlsFiles) {
    this.#files = files
    createSecureContext(read(files))
  }

  create(handler: RequestListener, { requestTimeoutMs }: TlsServerOptions): Server {
    const asksClients = this.#files.clientCaFile !== undefined
    const server = createHttpsServer(
      {
        ...read(this.#files),
        requestCert: asksClients,
        rejectUnauthorized: asksClients,
        handshakeTimeout: HANDSHAKE_WITHIN_MS,
        requestTimeout: requestTimeoutMs,
        keepAliveTimeout: KEEP_ALIVE_MS,
      },
      handler,
    )
    this.#servers.add(server)
    server.once('close', () => this.#servers.delete(server))
    return server
  }

  /** Reads the files again, for connections to come. Throws as the constructor does; everything then stays as it was. */
  reload(): void {
    const options = read(this.#files)
    createSecureContext(options)
    for (const server of this.#servers) server.setSecureContext(options)
  }
}

function read({ certFile, keyFile, clientCaFile }: TlsFiles) {
  return {
    minVersion: 'TLSv1.2',
    cert: readFileSync(certFile),
    key: readPrivate(keyFile),
    ...(clientCaFile !== undefined && { ca: readFileSync(clientCaFile) }),
  } as const
}

function readPrivate(path: string): Buffer {
  const file = openSync(path, 'r')
  try {
    const { mode } = fstatSync(file)
    if (mode & OTHERS) {
      const found = (mode & 0o777).toString(8).padStart(4, '0')
      throw new Error(`expected a key that only its owner and group can read, found mode ${found}: chmod o= ${path}`)
    }
    return readFileSync(file)
  } finally {
    closeSync(file)
  }
}
