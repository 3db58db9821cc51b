import * as z from 'zod/mini'
import { DescriptorError } from './descriptor-error.ts'

/** zod/mini has no messages unless it is given them. */
const english = z.locales.en().localeError

/** Where the JSON is from, for a message: the descriptor's path, and the key in it. */
export interface Place {
  readonly path: string
  readonly key?: string
}

/** What `schema` makes of `json`. Throws DescriptorError that names every place that is wrong. */
export function parseChecked<T>(schema: z.ZodMiniType<T>, json: unknown, { path, key }: Place): T {
  const parsed = schema.safeParse(json, { error: english })
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map((issue) => {
    const where = [...(key ? [key] : []), ...issue.path].join('.')
    return `${where === '' ? 'descriptor' : where}: ${issue.message}`
  })
  throw new DescriptorError(`${path}: ${issues.join('; ')}`, { cause: parsed.error })
}
