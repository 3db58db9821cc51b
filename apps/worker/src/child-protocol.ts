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
    /** What is to stay free on each file system that is written to. */
    keepFreeBytes: z.int().min(0),
    options: dumpOptions,
  }),
  z.strictObject({ task: z.literal('pages'), guest: guestId, tenant, descriptor: z.string(), stateDir: z.string() }),
])
export type ChildTask = z.infer<typeof childTask>
export type DumpTask = Extract<ChildTask, { task: 'dump' }>
export type PagesTask = Extract<ChildTask, { task: 'pages' }>

/** What else a child is told. */
export const childOrder = z.discriminatedUnion('order', [
  /** End, leave nothing behind, let the guest run. */
  z.strictObject({ order: z.literal('cancel') }),
  /** What it needs is reserved. */
  z.strictObject({ order: z.literal('goOn') }),
  /** There is no room for what it needs. */
  z.strictObject({ order: z.literal('refuse'), code: z.string(), message: z.string() }),
])
export type ChildOrder = z.infer<typeof childOrder>

/** What a dump is going to write in one folder, in bytes. */
const spaceNeed = z.object({ folder: z.string(), atLeastBytes: z.int().min(0), atMostBytes: z.int().min(0) })
export type SpaceNeed = z.infer<typeof spaceNeed>

/** What it may still write there. */
const spaceLeft = z.object({ folder: z.string(), bytes: z.int().min(0) })
export type SpaceLeft = z.infer<typeof spaceLeft>

/** What a child says. It says once what it needs, before it writes, and waits for an order. The last three end the conversation. */
export const childMessage = z.discriminatedUnion('say', [
  z.object({ say: z.literal('progress'), progress: dumpProgress }),
  z.object({ say: z.literal('needs'), needs: z.array(spaceNeed).min(1) }),
  z.object({ say: z.literal('left'), left: z.array(spaceLeft) }),
  z.object({ say: z.literal('dumped'), report: dumpReport, delivered }),
  z.object({ say: z.literal('pages'), pages: z.json() }),
  z.object({ say: z.literal('failed'), code: z.string(), message: z.string() }),
])
export type ChildMessage = z.infer<typeof childMessage>
