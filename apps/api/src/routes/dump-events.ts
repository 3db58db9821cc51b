import { isFinished } from '@ullage/dump-job'
import { z } from 'zod'
import { answerOf, refusals } from '../answers.ts'
import type { ApiParts, ZodInstance } from '../api-parts.ts'
import { EventStream } from '../event-stream.ts'
import type { DumpRecord } from '../journal.ts'
import { toResource } from '../to-resource.ts'
import { dumpParams, requireDump } from './dumps.ts'

/**
 * Events of one dump: the whole dump on connect and at each change, progress in between. The stream ends with the dump. A
 * client that comes back having seen the end gets 204, which tells an EventSource to stop.
 */
export function dumpEventRoutes(app: ZodInstance, { journal, follow }: ApiParts): void {
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
          'The id of an event is the revision of the dump. The stream ends when the dump is finished.',
        tags: ['dumps'],
        params: dumpParams,
        response: {
          200: answerOf('text/event-stream', 'the events, until the dump is finished'),
          204: z.null(),
          ...refusals('REQUEST_INVALID', 'DUMP_UNKNOWN'),
        },
      },
    },
    async (request, reply) => {
      const dump = requireDump(journal, request.params.id)
      if (isFinished(dump.state) && request.headers['last-event-id'] === String(dump.revision)) {
        return reply.code(204).send(null)
      }
      reply.hijack()
      const stream = new EventStream(reply.raw)
      open.add(stream)
      let last = dump
      const show = (now: DumpRecord) => {
        if (now.id !== dump.id) return
        stream.send(eventOf(last, now))
        last = now
        if (isFinished(now.state)) stream.end()
      }
      stream.send(stateEvent(dump))
      if (isFinished(dump.state)) stream.end()
      const unwatch = journal.watch(show)
      void follow.look(dump.id)
      await stream.closed
      unwatch()
      open.delete(stream)
      return reply
    },
  )
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
