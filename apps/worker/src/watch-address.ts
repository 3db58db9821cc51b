import { z } from 'zod'

export type WatchAddress = { readonly host: string; readonly port: number } | { readonly path: string }

const LISTEN = 'expected HOST:PORT, such as 127.0.0.1:7071 or [::1]:7071, or unix:/path/of/the.sock'

/** Where a worker is watched: `host:port`, `[v6]:port`, or `unix:/path`. Port 0 takes a free one. */
export const watchAddress = z.string().transform((text, context): WatchAddress => {
  const path = /^unix:(\/.+)$/.exec(text)?.[1]
  if (path) return { path }
  const [, v6, name, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? name
  if (host && Number(port) <= 65_535) return { host, port: Number(port) }
  context.addIssue({ code: 'custom', message: LISTEN })
  return z.NEVER
})
