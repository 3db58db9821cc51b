import { delivered, delivery } from '@ullage/artifact-store'
import { dumpOptions, dumpProgress, dumpReport, guestId, tenantId } from '@ullage/dump-job'
import { z } from 'zod'

/** To whom the guest has to belong, by its descriptor. */
const tenant = tenantId.nullable()

/** What a child is asked to do, its first message. */
export const childTask = z.discriminatedUnion('task', [
  z.strictObject({
    task: z.literal('dump'),
    guest: guestId,
    tenant,
    descriptor: z.string(),
    stateDir: z.string(),
    guardianScope: z.enum(['session', 'systemd']),
    output: z.string(),
    delivery,
    threads: z.int().min(1).optional(),
    memoryBytes: z.int().min(0).optional(),
    options: dumpOptions,
  }),
  z.strictObject({ task: z.literal('pages'), guest: guestId, tenant, descriptor: z.string(), stateDir: z.string() }),
])
export type ChildTask = z.infer<typeof childTask>
export type DumpTask = Extract<ChildTask, { task: 'dump' }>
export type PagesTask = Extract<ChildTask, { task: 'pages' }>

/** The only other thing a child is told: end, leave nothing behind, let the guest run. */
export const cancelMessage = { cancel: true } as const

/** What a child says. The last three end the conversation. */
export const childMessage = z.discriminatedUnion('say', [
  z.object({ say: z.literal('progress'), progress: dumpProgress }),
  z.object({ say: z.literal('dumped'), report: dumpReport, delivered }),
  z.object({ say: z.literal('pages'), pages: z.json() }),
  z.object({ say: z.literal('failed'), code: z.string(), message: z.string() }),
])
export type ChildMessage = z.infer<typeof childMessage>
