/** Redis is there and does not let this process in. The message says why, in a sentence without a password. */
export class RedisRefused extends Error {
  override readonly name = 'RedisRefused'
}

const LOGIN = /\b(?:WRONGPASS|NOAUTH|NOPERM)\b.*/
/** Codes of what OpenSSL finds wrong with a certificate or a conversation, as Node hands them on. */
const TLS = /^(?:EPROTO$|ERR_SSL_|ERR_TLS_|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|INVALID_CA$|HOSTNAME_MISMATCH$)/

/** Why Redis does not let this process in. */
export interface RedisRefusal {
  /** What of the address it is that Redis does not take. Names nobody, so that everybody may be told. */
  readonly kind: 'login' | 'TLS'
  /** Without a password. May name a host. */
  readonly sentence: string
}

/** Why Redis does not let this process in; undefined for an error that tells of something else. */
export function refusalOf(error: Error): RedisRefusal | undefined {
  const [who, refuses] = error.message.includes('sentinels') ? ['the Sentinels', 'refuse'] : ['Redis', 'refuses']
  const [login] = LOGIN.exec(error.message) ?? []
  if (login !== undefined) {
    return { kind: 'login', sentence: `${who} ${refuses} the user or password of the address: ${trimmed(login)}` }
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (!TLS.test(code)) return undefined
  return { kind: 'TLS', sentence: `TLS with ${who} does not come about: ${tlsReason(error.message)} (${code})` }
}

/** OpenSSL's own lines name its source files. */
function tlsReason(message: string): string {
  const [, reason] = /:SSL routines:[^:]*:([^:]+)/.exec(message) ?? []
  return trimmed(reason ?? message)
}

function trimmed(text: string): string {
  return text.trim().replace(/\s+/g, ' ').replace(/\.$/, '')
}
