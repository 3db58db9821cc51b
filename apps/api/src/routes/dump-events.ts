import { isFinished } from '@ullage/dump-job'
import { z } from 'zod'
import { answerOf, refusals } from '../answers.ts'
import type { ApiParts, ZodInstance } from '../api-parts.ts'
import { EventStream, type StreamEvent } from '../event-stream.ts'
import type { DumpRecord } from '../dump-record.ts'
import type { Journal } from '../journal.ts'
import { exhausted, LongAnswers } from '../auth/long-answers.ts'
import { told } from '../auth/tell-tenants.ts'
import { toResource } from '../to-resource.ts'
import { dumpParams, requireDump } from './dumps.ts'

/** Event streams that one API has open at the same time. */
const MOST_STREAMS = 512

export interface EventStreamLimits {
  readonly mostStreams?: number
  /** Of one asker. */
  readonly mostOfOne?: number
}

/**
 * Events of one dump: the whole dump on connect and at each change, progress in between. The stream ends with the dump. A
 * client that comes back gets each change that it missed and none that it had; having seen the end it gets 204, which tells
 * an EventSource to stop.
 */
export function dumpEventRoutes(
  app: ZodInstance,
  { journal, follow }: ApiParts,
  { mostStreams = MOST_STREAMS, mostOfOne }: EventStreamLimits = {},
): void {
  const answers = new LongAnswers('event streams', { mostOfOne })
  const open = new Set<EventStream>()
  app.addHook('preClose', (done) => {
    for (const stream of open) stream.end()
    done()
  })

  app.get(
    '/v1/dumps/:id/events',
    {
      exposeHeadRoute: false,
      schema: {
        summary: 'Follow a dump',
        description:
          'Server-sent events. `state`: the whole dump, on connect and at each change; `progress`: how far it is. ' +
          'The id of an event is the revision of the dump. The stream ends when the dump is finished. With Last-Event-ID ' +
          'it goes on from there: each change since then, the latest progress, then what comes. It ends early, with a comment ' +
          'that says why, when the token expires or its key is taken away: come again with another one.',
        tags: ['dumps'],
        params: dumpParams,
        headers: z.looseObject({
          'last-event-id': z.string().max(200).optional().describe('id of the last event that was seen'),
        }),
        response: {
          200: answerOf('text/event-stream', 'the events, until the dump is finished'),
          204: z.null(),
          ...refusals('REQUEST_INVALID', 'DUMP_UNKNOWN', 'STREAMS_EXHAUSTED'),
        },
      },
    },
    async (request, reply) => {
      const dump = requireDump(journal, request.params.id)
      const seen = seenRevision(request.headers['last-event-id'], dump)
      if (isFinished(dump.state) && seen === dump.revision) return reply.code(204).send(null)
      if (open.size >= mostStreams) throw exhausted(`${mostStreams} open event streams`)
      answers.begin(request, reply)
      reply.hijack()
      const stream = new EventStream(reply.raw, reply.getHeaders())
      open.add(stream)
      let last = dump
      const send = (event: StreamEvent) => stream.send(told(request.principal, event))
      const show = (now: DumpRecord) => {
        if (now.id !== dump.id) return
        send(eventOf(last, now))
        last = now
        if (isFinished(now.state)) stream.end()
      }
      for (const event of missed(journal, dump, seen)) send(event)
      if (isFinished(dump.state)) stream.end()
      const unwatch = journal.watch(show)
      const unwatchAccess = request.watchAccess?.({
        onLost(why) {
          request.log.info({ job: dump.id, why }, 'a stream of events ends before its dump')
          stream.say(`${why}: come again with one that is valid, after the last event`)
          stream.end()
        },
      })
      void follow.look(dump.id)
      await stream.closed
      unwatch()
      unwatchAccess?.()
      open.delete(stream)
      return reply
    },
  )
}

/** The revision that a client has seen last; undefined for none, and for one that this dump has not had. */
function seenRevision(header: string | undefined, dump: DumpRecord): number | undefined {
  const revision = /^\d{1,15}$/.test(header ?? '') ? Number(header) : undefined
  return revision !== undefined && revision <= dump.revision ? revision : undefined
}

/** What a client gets first: the dump as it is, or each change since the one it has seen. */
function missed(journal: Journal, dump: DumpRecord, seen: number | undefined) {
  if (seen === dump.revision) return []
  if (seen === undefined) return [stateEvent(dump)]
  const changes = journal.history.after(dump.id, seen).map((data) => ({ event: 'state', id: data.revision, data }))
  // A dump that has gone on since its last change has progressed.
  return changes.at(-1)?.id === dump.revision ? changes : [...changes, stateEvent(dump)]
}

function stateEvent(dump: DumpRecord) {
  return { event: 'state', id: dump.revision, data: toResource(dump) }
}

/** Only how far it is, when nothing else changed. */
function eventOf(before: DumpRecord, now: DumpRecord) {
  const { id, revision, progress } = now
  const same = JSON.stringify({ ...before, revision, progress }) === JSON.stringify(now)
  return same && progress ? { event: 'progress', id: revision, data: { id, revision, progress } } : stateEvent(now)
}
