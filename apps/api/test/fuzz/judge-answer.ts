import { z } from 'zod'
import type { FuzzAnswer } from './send-request.ts'

/** Failures of what stands behind the API, which it may tell of. */
const TOLD = [502, 503, 504]

const toldProblem = z.looseObject({
  type: z.string().startsWith('urn:ullage:problem:'),
  title: z.string().min(1),
  status: z.int(),
  code: z.string().regex(/^[A-Z_]+$/),
  detail: z.string().min(1),
  remedy: z.string().min(1),
})

/** What is wrong with an answer, one sentence each. `forbidden` are strings that who asked must not get to see. */
export function judgeAnswer(
  { method, path, body: sent }: { method: string; path: string; body?: string | undefined },
  { status, headers, body }: FuzzAnswer,
  forbidden: readonly string[],
): string[] {
  const wrong: string[] = []
  const isReadiness = path.startsWith('/readyz') && status === 503
  const type = headers['content-type'] ?? ''
  if (status < 200 || (status >= 500 && !TOLD.includes(status))) wrong.push(`status ${status}`)
  if (status >= 400 && !isReadiness) {
    if (!type.startsWith('application/problem+json')) wrong.push(`a refusal as ${type || 'nothing'}`)
    else if (method !== 'HEAD') {
      const { data, error } = toldProblem.safeParse(JSON.parse(Buffer.from(body, 'latin1').toString()))
      if (error) wrong.push(`a problem that is none: ${error.message}`)
      else if (data.status !== status) wrong.push(`a problem of status ${data.status} with status ${status}`)
    }
  }
  if (status === 405 && !headers.allow) wrong.push('405 without Allow')
  if (method === 'HEAD' && body !== '') wrong.push('a body in answer to HEAD')
  if (headers['x-content-type-options'] !== 'nosniff') wrong.push('no x-content-type-options')
  const told = `${JSON.stringify(headers)}\n${body}`
  // What who asked has sent they have seen already.
  const leaked = forbidden.filter((each) => told.includes(each) && !path.includes(each) && !sent?.includes(each))
  if (leaked.length > 0) wrong.push(`tells of ${leaked.join(', ')}`)
  return wrong
}
