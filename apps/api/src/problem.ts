import { z } from 'zod'

/** Everything the API refuses, by code: status, title, and what to do about it. One row each, and the README's table. */
export const problems = {
  REQUEST_INVALID: [400, 'the request does not fit the schema', 'compare it with /openapi.json'],
  UNAUTHENTICATED: [401, 'who asks is not known', 'send a key or token that is valid here as Authorization: Bearer'],
  FORBIDDEN: [403, 'this key or token has not the scope for it', 'use one that has, or have the scope granted'],
  ROUTE_UNKNOWN: [404, 'no such address', 'see /docs for those there are'],
  METHOD_NOT_ALLOWED: [405, 'this address does not answer this method', 'use one that Allow names'],
  REQUEST_TIMEOUT: [408, 'the request took too long to arrive', 'send it again, in one go'],
  DUMP_UNKNOWN: [404, 'no such dump', 'GET /v1/dumps lists those there are'],
  GUEST_UNKNOWN: [404, 'no such guest', 'GET /v1/guests lists those there are'],
  GUEST_AMBIGUOUS: [409, 'two hosts announce this guest', 'remove its descriptor from the host it has left'],
  GUEST_UNUSABLE: [409, "this guest's descriptor cannot be used", 'correct it on its host'],
  DUMP_ACTIVE: [409, 'this guest has a dump queued or running', 'follow the one there is, or delete it first'],
  // 409 and no 429: waiting alone changes nothing, and clients repeat a 429 by themselves.
  QUOTA_EXCEEDED: [409, 'the tenant has as much as it may', 'delete dumps, or wait until others are finished'],
  DUMP_UNFINISHED: [409, 'this dump is not finished', 'follow its events until it is'],
  NO_ARTIFACT: [409, 'this dump ended without an artifact', 'see its failure; post another one'],
  DUMP_REMOVED: [410, 'the dump that this Idempotency-Key made was removed', 'post with another key for another dump'],
  ARTIFACT_GONE: [410, 'the artifact is no longer where it was published', 'post another dump'],
  ARTIFACT_UNREADABLE: [500, 'the artifact cannot be used where it is kept', "see the service's log"],
  STORE_UNAVAILABLE: [503, 'the place of artifacts does not answer', 'try again in some seconds'],
  RANGE_INVALID: [416, 'this range cannot be served', 'ask for one range within the size in Content-Range'],
  BODY_TOO_LARGE: [413, 'the request is too large', 'send what the schema asks for'],
  MEDIA_TYPE: [415, 'the body is not JSON', 'send Content-Type: application/json'],
  RATE_LIMITED: [429, 'too many requests', 'try again after the seconds in Retry-After'],
  EXPECTATION_UNKNOWN: [417, 'this expectation cannot be met', 'leave the Expect header out'],
  IDEMPOTENCY_MISMATCH: [422, 'this Idempotency-Key was used for another request', 'use a new key for each request'],
  IDEMPOTENCY_FULL: [429, 'too many Idempotency-Keys in 24 hours', 'post without a key, or try again later'],
  HEADERS_TOO_LARGE: [431, 'the headers are too large', 'send fewer or shorter ones'],
  ARTIFACT_UNREMOVABLE: [500, 'the artifact cannot be removed', "see the service's log, mend it, then delete again"],
  STREAMS_EXHAUSTED: [503, 'too many streams are open', 'end some, try again later, or GET the dump instead'],
  HOST_UNKNOWN: [404, 'no such host', 'GET /v1/hosts lists those there are'],
  HOST_DRAINING: [503, "the guest's host takes no new dumps", 'wait until it does again, or end its drain'],
  HOST_UNREACHABLE: [503, "the guest's host does not answer", 'start the worker on that host, then try again'],
  QUEUE_UNREACHABLE: [503, 'the queue does not answer', 'try again in some seconds'],
  AUTH_UNREACHABLE: [503, 'tokens cannot be checked now', 'try again in some seconds'],
  AUDIT_UNWRITABLE: [503, 'what is done cannot be written down', 'make room for the audit log, then try again'],
  JOURNAL_UNWRITABLE: [503, 'the journal cannot be written', 'free space where the journal is, then try again'],
  PAGES_FAILED: [502, 'the worker could not tell', 'see the reason; it is the guest that has it'],
  PAGES_TIMEOUT: [504, 'the worker did not answer in time', 'try again when the host is less busy'],
  INTERNAL: [500, 'something is wrong here', "see the service's log"],
} as const satisfies Record<string, readonly [status: number, title: string, remedy: string]>

export type ProblemCode = keyof typeof problems

/** What is sent as application/problem+json (RFC 9457). */
export const problem = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string(),
    remedy: z.string().describe('what to do'),
  })
  .meta({ id: 'Problem' })

/** A request that is refused; the error handler makes the answer of it. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  readonly code: ProblemCode
  readonly status: number
  /** Further members of the answer. */
  readonly members: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: ProblemCode,
    detail: string,
    options: ErrorOptions & { members?: Record<string, unknown>; headers?: Record<string, string> } = {},
  ) {
    super(detail, options)
    this.code = code
    this.status = problems[code][0]
    this.members = options.members ?? {}
    this.headers = options.headers ?? {}
  }

  toJSON() {
    const [status, title, remedy] = problems[this.code]
    return {
      type: `urn:ullage:problem:${this.code}`,
      title,
      status,
      code: this.code,
      detail: this.message,
      remedy,
      ...this.members,
    }
  }
}
