import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { PublishedArtifacts } from '@ullage/artifact-store'
import type { RedisRefusal } from '@ullage/redis-connection'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { DumpTraceparents } from './dump-traceparents.ts'
import type { Fleet } from './fleet.ts'
import type { FollowJobs } from './follow-jobs.ts'
import type { JobQueue } from './job-queue.ts'
import type { Journal } from './journal.ts'
import type { QueueBoard } from './queue-board.ts'
import type { TenantQuota } from './tenant-quota.ts'
import type { WriteProbe } from './write-probe.ts'

/** What routes work with. */
export interface ApiParts {
  readonly journal: Journal
  readonly queue: JobQueue
  readonly fleet: Fleet
  /** For what Redis does not let this API in; undefined while it does. Left out, it does. */
  readonly refusal?: () => RedisRefusal['kind'] | undefined
  /** Whether Redis takes writes. Left out, it does. */
  readonly writeProbe?: WriteProbe
  readonly follow: FollowJobs
  readonly published: PublishedArtifacts
  /** What a tenant may have; left out, as much as it likes. */
  readonly quotaOf?: (tenant: string) => TenantQuota
  /** Which request asked for a dump; left out, requests are not traced. */
  readonly traceparents?: DumpTraceparents
  /** Left out, there is no page that shows the queues. */
  readonly board?: QueueBoard | undefined
}

/** A Fastify instance whose routes are typed by their zod schemas. */
export type ZodInstance = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>
