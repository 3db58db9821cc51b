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
