import { z } from 'zod'

/** How far a dump is: frames done of frames planned, in one stage of three. */
export const dumpProgress = z
  .object({
    stage: z.enum(['classify', 'write', 'verify']),
    done: z.number().min(0),
    total: z.number().min(0),
  })
  .meta({ id: 'DumpProgress' })
export type DumpProgress = z.infer<typeof dumpProgress>
