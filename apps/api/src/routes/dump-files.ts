import { dumpReport } from '@ullage/dump-job'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { answerOf, refusals } from '../answers.ts'
import type { ApiParts, ZodInstance } from '../api-parts.ts'
import { openArtifact, streamOf } from '../artifact-stream.ts'
import { LongAnswers } from '../auth/long-answers.ts'
import { parseByteRange } from '../byte-range.ts'
import type { DumpRecord } from '../dump-record.ts'
import type { Journal } from '../journal.ts'
import { ApiProblem } from '../problem.ts'
import { whenClosed } from '../when-closed.ts'
import { dumpParams, requireDump } from './dumps.ts'

/** Why a published file is not served. */
const unpublished = [
  'REQUEST_INVALID',
  'DUMP_UNKNOWN',
  'DUMP_UNFINISHED',
  'NO_ARTIFACT',
  'ARTIFACT_GONE',
  'ARTIFACT_UNREADABLE',
  'STORE_UNAVAILABLE',
] as const

/** A client that takes nothing of what is there for it for so long is cut off. */
const STALLED_AFTER_MS = 60_000

export interface DownloadLimits {
  /** In milliseconds. */
  readonly stalledAfterMs?: number
  /** Downloads of one asker at the same time. */
  readonly mostOfOne?: number
}

/** The published files of a dump: its artifact, with byte ranges, and its report. */
export function dumpFileRoutes(
  app: ZodInstance,
  { journal, published }: ApiParts,
  { stalledAfterMs = STALLED_AFTER_MS, mostOfOne }: DownloadLimits = {},
): void {
  const downloads = new LongAnswers('downloads', { mostOfOne })
  app.route({
    method: ['GET', 'HEAD'],
    url: '/v1/dumps/:id/artifact',
    exposeHeadRoute: false,
    schema: {
      summary: 'Download the vmcore',
      description:
        'One byte range is served (206). ETag and Repr-Digest are the SHA-256 of the whole file, Content-Digest as well ' +
        'when the whole file is sent.',
      tags: ['dumps'],
      params: dumpParams,
      headers: z.looseObject({ range: z.string().max(200).optional(), 'if-range': z.string().max(200).optional() }),
      response: {
        200: answerOf('application/octet-stream', 'the whole artifact'),
        206: answerOf('application/octet-stream', 'the range that was asked for'),
        304: z.null(),
        ...refusals(...unpublished, 'RANGE_INVALID', 'STREAMS_EXHAUSTED'),
      },
    },
    async handler(request, reply) {
      const dump = requirePublished(journal, request.params.id)
      const { bytes, sha256 } = dump.result.artifact
      const etag = `"sha256-${sha256}"`
      const identity = {
        'accept-ranges': 'bytes',
        etag,
        'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
        'cache-control': 'private, no-cache',
      }
      if (matches(request.headers['if-none-match'], etag)) return sendNotModified(reply.headers(identity))
      const range = wantedRange(request, { etag, bytes })
      if (range === 'unsatisfiable') {
        const found = String(request.headers.range)
        throw new ApiProblem('RANGE_INVALID', `expected one range within ${bytes} bytes, found ${found}`, {
          headers: { 'content-range': `bytes */${bytes}`, 'accept-ranges': 'bytes' },
        })
      }
      downloads.begin(request, reply)
      const artifact = await openArtifact(published, { id: dump.id, bytes })
      if (reply.raw.closed) {
        // Who asked left meanwhile: nothing would tell of that again.
        await artifact.close()
        return reply.hijack()
      }
      const { startByte, endByte } = range ?? { startByte: 0, endByte: bytes }
      // The digest of content that is the whole file; that of a part would cost reading it twice.
      if (range) reply.code(206).header('content-range', `bytes ${startByte}-${endByte - 1}/${bytes}`)
      else reply.header('content-digest', identity['repr-digest'])
      reply
        .headers({
          ...identity,
          'content-disposition': `attachment; filename="${dump.guest}-${dump.id}.vmcore"`,
          'content-length': endByte - startByte,
        })
        .type('application/octet-stream')
      if (request.method === 'HEAD' || endByte === startByte) {
        await artifact.close()
        return sendNothing(reply)
      }
      // An answer that is closed, by the client or by this, closes the artifact.
      reply.raw.setTimeout(stalledAfterMs, () => {
        // With nothing written that it could take, it is the store that is waited for, which has a limit of its own.
        if (reply.raw.writableLength > 0) reply.raw.destroy()
      })
      const unwatchAccess = request.watchAccess?.({
        outlivesToken: true,
        onLost(why) {
          request.log.info({ job: dump.id, why }, 'a download is cut off')
          reply.raw.destroy()
        },
      })
      whenClosed(reply.raw, () => unwatchAccess?.())
      return reply.send(streamOf(artifact, startByte, endByte))
    },
  })

  app.get(
    '/v1/dumps/:id/report',
    {
      schema: {
        summary: 'What was found in the guest, and how the dump was made',
        tags: ['dumps'],
        params: dumpParams,
        response: { 200: dumpReport, ...refusals(...unpublished) },
      },
    },
    async (request) => {
      const dump = requirePublished(journal, request.params.id)
      const report = await published.report(dump.id)
      if (!report) throw gone(dump)
      return report
    },
  )
}

/** The range to serve. HEAD has none, and a client whose file is another one gets the whole (RFC 9110, 13.1.5 and 14.2). */
function wantedRange(request: FastifyRequest, { etag, bytes }: { etag: string; bytes: number }) {
  const ifRange = request.headers['if-range']
  if (request.method === 'HEAD' || (ifRange !== undefined && ifRange !== etag)) return undefined
  return parseByteRange(request.headers.range, bytes)
}

/** No body and nothing said of one: a length here would have to be that of the artifact. */
function sendNotModified(reply: FastifyReply) {
  return reply.code(304).send()
}

/** Headers as they are, with the length of a body that is not sent. */
function sendNothing(reply: FastifyReply) {
  return reply.serializer((text: string) => text).send('')
}

function requirePublished(journal: Journal, id: string) {
  const dump = requireDump(journal, id)
  if (dump.state === 'queued' || dump.state === 'running') {
    throw new ApiProblem('DUMP_UNFINISHED', `dump ${id} is ${dump.state}`)
  }
  if (dump.state !== 'succeeded' || !dump.result) {
    throw new ApiProblem('NO_ARTIFACT', `dump ${id} is ${dump.state}`, { members: { failure: dump.failure } })
  }
  const { expiredAt } = dump.result
  if (expiredAt !== undefined)
    throw new ApiProblem('ARTIFACT_GONE', `retention removed the artifact of dump ${id} at ${expiredAt}`)
  return { ...dump, result: dump.result }
}

function gone({ id }: DumpRecord): ApiProblem {
  return new ApiProblem('ARTIFACT_GONE', `dump ${id} was published, and its files are not there`)
}

/** RFC 9110, 13.1.2: weak comparison; `*` matches everything there is. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((each) => each.trim() === '*' || each.trim().replace(/^W\//, '') === etag)
}
