import { z } from 'zod'

/** How far a dump is: frames done of frames planned in one of the first three stages, bytes in the last. */
export const dumpProgress = z
  .object({
    stage: z.enum(['classify', 'write', 'verify', 'store']),
    done: z.number().min(0),
    total: z.number().min(0),
  })
  .meta({ id: 'DumpProgress' })
export type DumpProgress = z.infer<typeof dumpProgress>
