import { Refusal } from '../refusal.ts'
import type { Btf } from './btf.ts'
import { memberOffset } from './kernel-types.ts'

/** Longest `struct kimage` that is read: 6.12 has some 800 bytes. */
const MAX_IMAGE_BYTES = 4096
/** KEXEC_SEGMENT_MAX is 16 (Linux include/linux/kexec.h). */
const MAX_SEGMENTS = 64

/** Where the fields lie that tell of a loaded image (Linux include/linux/kexec.h). Sizes and offsets in bytes. */
export interface KexecLayout {
  readonly imageBytes: number
  readonly head: number
  readonly nrSegments: number
  readonly segments: number
  readonly controlCodePage: number
  readonly controlPages: number
  readonly maxSegments: number
  readonly segmentBytes: number
  readonly mem: number
  readonly memsz: number
}

/** Where `struct resource` keeps its two ends. */
export interface ResourceLayout {
  readonly start: number
  readonly end: number
}

/** Throws Refusal when the kernel's own types are not what a kernel has. */
export function kexecLayout(types: Btf): KexecLayout {
  const image = types.struct('kimage')
  const segment = types.struct('kexec_segment')
  if (image.bytes > MAX_IMAGE_BYTES || segment.bytes < 8 || segment.bytes > 256) {
    throw new Refusal(`a kimage of ${image.bytes} bytes with segments of ${segment.bytes} is no kernel's`)
  }
  const member = image.members.get('segment')
  const maxSegments = member ? types.arrayLength(member.type) : 0
  if (maxSegments === 0 || maxSegments > MAX_SEGMENTS) {
    throw new Refusal(`a kimage of ${maxSegments} segments is no kernel's`)
  }
  return {
    imageBytes: image.bytes,
    head: memberOffset(image, 'head', { bytes: 8 }),
    nrSegments: memberOffset(image, 'nr_segments', { bytes: 8 }),
    segments: memberOffset(image, 'segment', { bytes: maxSegments * segment.bytes }),
    controlCodePage: memberOffset(image, 'control_code_page', { bytes: 8 }),
    controlPages: memberOffset(image, 'control_pages', { bytes: 16 }),
    maxSegments,
    segmentBytes: segment.bytes,
    mem: memberOffset(segment, 'mem', { bytes: 8 }),
    memsz: memberOffset(segment, 'memsz', { bytes: 8 }),
  }
}

export function resourceLayout(types: Btf): ResourceLayout {
  const resource = types.struct('resource')
  const start = memberOffset(resource, 'start', { bytes: 8 })
  const end = memberOffset(resource, 'end', { bytes: 8 })
  if (Math.max(start, end) > 248) throw new Refusal(`a resource of ${resource.bytes} bytes is no kernel's`)
  return { start, end }
}
