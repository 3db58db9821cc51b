import * as z from 'zod/mini'

/** A name or path: a string that is not empty. */
export const text = z.string().check(z.minLength(1))
