import { z } from 'zod'
import { problem, type ProblemCode, problems } from './problem.ts'

/** An answer of another type than JSON, for a route's `response` schema. */
export interface AnswerOf<Schema extends z.ZodType> {
  readonly description: string
  readonly content: Record<string, { schema: Schema }>
}

type StatusOf<Code extends ProblemCode> = (typeof problems)[Code][0]

/** Answers whose body is no JSON: bytes or text of this media type, which is sent as it is. */
export function answerOf(mediaType: string, description: string): AnswerOf<z.ZodUnknown> {
  return { description, content: { [mediaType]: { schema: z.unknown() } } }
}

/**
 * The refusals of a route, by status, for its `response` schema: what the error handler makes of an ApiProblem with one of
 * these codes. Every route has INTERNAL besides.
 */
export function refusals<Code extends ProblemCode = never>(
  ...codes: readonly Code[]
): Record<StatusOf<Code | 'INTERNAL'>, AnswerOf<typeof problem>> {
  const answers: Record<number, AnswerOf<typeof problem>> = {}
  for (const code of [...codes, 'INTERNAL'] as const) {
    const [status, title] = problems[code]
    const earlier = answers[status]
    answers[status] = {
      description: `${earlier ? `${earlier.description}; ` : ''}${code}: ${title}`,
      content: { 'application/problem+json': { schema: problem } },
    }
  }
  return answers
}

/** A route's `response` schema with further refusals, beside those that it has of the same status. */
export function addRefusals(response: unknown, ...codes: readonly ProblemCode[]): Record<string, unknown> {
  const answers: Record<string, unknown> = { ...(typeof response === 'object' ? response : {}) }
  for (const [status, added] of Object.entries(refusals(...codes))) {
    const before = answers[status]
    // INTERNAL, which every route has.
    if (status in refusals()) continue
    if (before === undefined) answers[status] = added
    else if (isAnswer(before))
      answers[status] = { ...added, description: `${before.description}; ${added.description}` }
  }
  return answers
}

function isAnswer(answer: unknown): answer is AnswerOf<z.ZodType> {
  return typeof answer === 'object' && answer !== null && 'description' in answer && 'content' in answer
}
