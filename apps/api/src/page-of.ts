import { z } from 'zod'
import { ApiProblem } from './problem.ts'

/** Query members of a list that is paged. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(1_000).default(200),
  cursor: z.string().max(400).optional().describe('"next" of the page before'),
}

/** Where the next page begins. */
export const nextPage = z.string().nullable().describe('cursor of the next page; null on the last one')

/** A query member that is true or false. */
export const yesOrNo = z.enum(['true', 'false'])

const position = z.array(z.string()).min(1).max(2)

/**
 * One page of `items`, which are in ascending order of `keyOf`. The cursor is the key of the last item shown, so that what
 * comes or goes meanwhile moves nothing. Throws ApiProblem REQUEST_INVALID for a cursor that is none.
 */
export function pageOf<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => readonly string[],
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): { items: Item[]; next: string | null } {
  const after = cursor === undefined ? undefined : readCursor(cursor)
  const rest = after ? items.filter((item) => isAfter(keyOf(item), after)) : items
  const page = rest.slice(0, limit)
  const last = rest.length > limit ? page.at(-1) : undefined
  return { items: page, next: last === undefined ? null : writeCursor(keyOf(last)) }
}

export function cursorUnknown(cursor: string): ApiProblem {
  return new ApiProblem('REQUEST_INVALID', `cursor: expected the "next" of an earlier page, found ${cursor}`)
}

function writeCursor(key: readonly string[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

function readCursor(cursor: string): readonly string[] {
  const text = Buffer.from(cursor, 'base64url').toString()
  try {
    const { data } = position.safeParse(JSON.parse(text))
    if (data) return data
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw cursorUnknown(cursor)
}

function isAfter(key: readonly string[], other: readonly string[]): boolean {
  const differs = key.findIndex((part, index) => part !== other[index])
  if (differs === -1) return false
  return (key[differs] ?? '') > (other[differs] ?? '')
}
