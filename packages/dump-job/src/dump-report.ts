import { z } from 'zod'
import { compression, dumpFormat, dumpLevel, trust } from './dump-options.ts'

const frames = z.int().min(0)
const bytes = z.number().min(0)
const milliseconds = z.number().min(0)

/** Frames of one class, by what the host says of them. */
const hostStateCounts = z.object({ backed: frames, swapped: frames, unbacked: frames, unknown: frames })

/** Guest class by host state, in frames. */
export const classMatrix = z.record(z.string(), hostStateCounts).meta({ id: 'ClassMatrix' })

/** Memory that Xen has promised a guest and not given yet, in frames. */
const populateOnDemand = z.looseObject({ targetFrames: frames, cacheFrames: frames, entries: frames })

export const warning = z.object({ code: z.string(), text: z.string() })

/** The published file, as the report describes it. */
export const artifact = z
  .looseObject({
    file: z.string().describe('name of the file, without a folder'),
    bytes,
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    format: dumpFormat,
    compression,
    level: dumpLevel,
  })
  .meta({ id: 'Artifact' })
export type Artifact = z.infer<typeof artifact>

/** `ullage.report/1`: what stands beside each artifact. Members that a later engine adds are kept. */
export const dumpReport = z
  .looseObject({
    schema: z.literal('ullage.report/1'),
    guest: z.looseObject({
      backend: z.string(),
      kernel: z.string().nullable(),
      vmcoreinfo: z.enum(['note', 'scan', 'none']),
      pageSize: bytes,
    }),
    frames: z.looseObject({
      total: frames,
      byClass: classMatrix,
      byFate: z.object({ write: frames, zero: frames, leaveOut: frames }),
    }),
    disagreements: z.looseObject({
      reclaimableBytes: bytes,
      untouched: frames,
      inUseUnbacked: frames,
      offlineUntold: frames,
      notAsked: frames.optional().describe('frames that a costly hypervisor was not asked about, by the guest’s word'),
      alarm: z.boolean(),
    }),
    hostMemory: z.looseObject({
      backedBytesBefore: bytes,
      backedBytesAfter: bytes,
      residentBytesBefore: bytes,
      residentBytesAfter: bytes,
    }),
    hypervisor: z
      .looseObject({
        questions: frames.describe('hypercalls made for the guest'),
        totalFramesBefore: frames.optional(),
        totalFramesAfter: frames.optional(),
        populateOnDemandBefore: populateOnDemand.optional(),
        populateOnDemandAfter: populateOnDemand.optional(),
      })
      .optional(),
    trust,
    warnings: z.array(warning),
    consistency: z.looseObject({ mode: z.enum(['paused', 'live', 'stopped', 'file']), pausedMs: milliseconds }),
    process: z.looseObject({ peakBytes: bytes }),
    artifact,
    timingsMs: z.looseObject({
      classify: milliseconds,
      write: milliseconds,
      verify: milliseconds,
      total: milliseconds,
    }),
  })
  .meta({ id: 'DumpReport' })
export type PublishedReport = z.infer<typeof dumpReport>

/** What a finished job says of its dump; the report beside the artifact says the rest. */
export const dumpResult = z.object({
  artifact,
  pausedMs: milliseconds,
  alarm: z.boolean(),
  warnings: z.array(warning),
  totalMs: milliseconds,
  expiredAt: z.iso.datetime().optional().describe('when retention removed the artifact and its report'),
  /** Absent in results of workers before these figures were told. */
  disagreements: z
    .object({ reclaimableBytes: bytes, untouched: frames, inUseUnbacked: frames, offlineUntold: frames })
    .optional(),
})
export type DumpResult = z.infer<typeof dumpResult>

export function resultOfReport(report: PublishedReport): DumpResult {
  const { reclaimableBytes, untouched, inUseUnbacked, offlineUntold } = report.disagreements
  return {
    artifact: report.artifact,
    pausedMs: report.consistency.pausedMs,
    alarm: report.disagreements.alarm,
    warnings: report.warnings,
    totalMs: report.timingsMs.total,
    disagreements: { reclaimableBytes, untouched, inUseUnbacked, offlineUntold },
  }
}

/** Names of the two files in the folder of a published dump. */
export const publishedFiles = { artifact: 'vmcore', report: 'report.json' } as const
