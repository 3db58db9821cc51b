import type { components } from './api-types.ts'

export type Problem = components['schemas']['Problem']

/** What the API refused, in its own words; `code` is for programs, `detail` and `remedy` are for people. */
export class ClientProblem extends Error {
  override readonly name = 'ClientProblem'
  readonly status: number
  readonly code: string
  readonly remedy: string
  /** The whole answer; members such as `dump` or `failure` are here. */
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail)
    this.problem = problem
    this.status = problem.status
    this.code = problem.code
    this.remedy = problem.remedy
  }
}

/** The problem behind an answer that is none of success. What is no problem, from a proxy say, has the code NO_PROBLEM. */
export async function problemOf(response: Response, body?: unknown): Promise<ClientProblem> {
  const found = body ?? (await response.text())
  const parsed = typeof found === 'string' ? parse(found) : found
  return new ClientProblem(
    isProblem(parsed)
      ? parsed
      : {
          type: 'about:blank',
          title: response.statusText,
          status: response.status,
          code: 'NO_PROBLEM',
          detail: `${response.url}: expected an answer of the API, found status ${response.status} without a problem`,
          remedy: 'see what stands between client and API',
        },
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'code' in body && 'detail' in body && 'status' in body
}
