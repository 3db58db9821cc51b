import { describe, expect, test } from 'vitest'
import { refusalOf } from './refusal.ts'

const coded = (code: string, message: string) => Object.assign(new Error(message), { code })

describe('why Redis does not let this process in', () => {
  test.each([
    [
      new Error('WRONGPASS invalid username-password pair or user is disabled.'),
      'login',
      'Redis refuses the user or password of the address: WRONGPASS invalid username-password pair or user is disabled',
    ],
    [
      new Error(
        'All sentinels are unreachable. Retrying from scratch after 200ms. Last error: NOAUTH Authentication required.',
      ),
      'login',
      'the Sentinels refuse the user or password of the address: NOAUTH Authentication required',
    ],
    [
      coded('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain'),
      'TLS',
      'TLS with Redis does not come about: self-signed certificate in certificate chain (SELF_SIGNED_CERT_IN_CHAIN)',
    ],
    [
      coded(
        'EPROTO',
        '80BB:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:../ssl/record.c:80:\n',
      ),
      'TLS',
      'TLS with Redis does not come about: wrong version number (EPROTO)',
    ],
  ] as const)('%s', (error, kind, sentence) => {
    expect(refusalOf(error)).toEqual({ kind, sentence })
  })

  test.each([coded('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:6379'), new Error('Connection is closed.')])(
    '%s is no refusal',
    (error) => {
      expect(refusalOf(error)).toBeUndefined()
    },
  )
})
