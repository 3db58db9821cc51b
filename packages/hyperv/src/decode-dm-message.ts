import type { Struct } from '@ullage/layout'
import type { PfnRange } from '@ullage/pages'
import {
  DM_TYPE,
  DmAccepted,
  DmBalloon,
  DmBalloonResponse,
  DmCapabilities,
  DmHeader,
  DmHotAdd,
  DmHotAddResponse,
  DmHotRemove,
  DmHotRemoveResponse,
  DmInfo,
  DmInfoHeader,
  DmStatus,
  DmUnballoonRequest,
  DmVersionRequest,
  INFO_TYPE_MAX_PAGE_CNT,
  PAGE_RANGE_BYTES,
} from './dm-layout.ts'
import { type DmMessage, type DmSender, saturated } from './dm-message.ts'
import { DmMessageError } from './dm-message-error.ts'

const FRAMES_PER_MIB = 256

interface Form {
  readonly from: DmSender | 'both'
  readonly layout: Struct<unknown>
  decode(bytes: Uint8Array): DmMessage
}

/** Each type: who sends it, the least it holds, and what it says. */
const forms: Readonly<Record<number, Form>> = {
  [DM_TYPE.ERROR]: { from: 'both', layout: DmHeader, decode: () => ({ kind: 'error' }) },
  [DM_TYPE.VERSION_REQUEST]: {
    from: 'guest',
    layout: DmVersionRequest,
    decode(bytes) {
      const { major_version: major, minor_version: minor, is_last_attempt } = DmVersionRequest.read(bytes)
      return { kind: 'versionRequest', version: { major, minor }, isLastAttempt: (is_last_attempt & 1) === 1 }
    },
  },
  [DM_TYPE.VERSION_RESPONSE]: {
    from: 'host',
    layout: DmAccepted,
    decode: (bytes) => ({ kind: 'versionResponse', isAccepted: bit(DmAccepted.read(bytes).flags, 0n) }),
  },
  [DM_TYPE.CAPABILITIES_REPORT]: {
    from: 'guest',
    layout: DmCapabilities,
    decode(bytes) {
      const { caps } = DmCapabilities.read(bytes)
      return {
        kind: 'capabilitiesReport',
        balloon: bit(caps, 0n),
        hotAdd: bit(caps, 1n),
        hotRemove: bit(caps, 6n),
        hotAddAlignment: FRAMES_PER_MIB * 2 ** Number((caps >> 2n) & 0xfn),
      }
    },
  },
  [DM_TYPE.CAPABILITIES_RESPONSE]: {
    from: 'host',
    layout: DmAccepted,
    decode(bytes) {
      const { flags } = DmAccepted.read(bytes)
      return {
        kind: 'capabilitiesResponse',
        isAccepted: bit(flags, 0n),
        hotRemove: bit(flags, 1n),
        suppressPressureReports: bit(flags, 2n),
      }
    },
  },
  [DM_TYPE.STATUS_REPORT]: {
    from: 'guest',
    layout: DmStatus,
    decode(bytes) {
      const { num_avail, num_committed } = DmStatus.read(bytes)
      return { kind: 'statusReport', available: saturated(num_avail), committed: saturated(num_committed) }
    },
  },
  [DM_TYPE.BALLOON_REQUEST]: {
    from: 'host',
    layout: DmBalloon,
    decode: (bytes) => ({ kind: 'balloonRequest', pages: DmBalloon.read(bytes).num_pages }),
  },
  [DM_TYPE.BALLOON_RESPONSE]: {
    from: 'guest',
    layout: DmBalloonResponse,
    decode(bytes) {
      const { more_and_count } = DmBalloonResponse.read(bytes)
      const ranges = rangesOf(bytes, DmBalloonResponse, more_and_count >>> 1)
      return { kind: 'balloonResponse', more: (more_and_count & 1) === 1, ranges }
    },
  },
  [DM_TYPE.UNBALLOON_REQUEST]: {
    from: 'host',
    layout: DmUnballoonRequest,
    decode(bytes) {
      const { more, range_count } = DmUnballoonRequest.read(bytes)
      const ranges = rangesOf(bytes, DmUnballoonRequest, range_count)
      return { kind: 'unballoonRequest', more: (more & 1) === 1, ranges }
    },
  },
  [DM_TYPE.UNBALLOON_RESPONSE]: { from: 'guest', layout: DmHeader, decode: () => ({ kind: 'unballoonResponse' }) },
  [DM_TYPE.MEM_HOT_ADD_REQUEST]: {
    from: 'host',
    layout: DmHotAdd,
    decode(bytes) {
      const at = DmHotAdd.size - PAGE_RANGE_BYTES
      const region = bytes.length >= DmHotAdd.size + PAGE_RANGE_BYTES ? rangeAt(bytes, DmHotAdd.size) : undefined
      return { kind: 'hotAddRequest', range: rangeAt(bytes, at), region }
    },
  },
  [DM_TYPE.MEM_HOT_ADD_RESPONSE]: {
    from: 'guest',
    layout: DmHotAddResponse,
    decode(bytes) {
      const { page_count: pages, result } = DmHotAddResponse.read(bytes)
      return { kind: 'hotAddResponse', pages, isSuccess: result === 1 }
    },
  },
  [DM_TYPE.INFO_MESSAGE]: { from: 'host', layout: DmInfo, decode: decodeInfo },
  [DM_TYPE.MEM_HOT_REMOVE_REQUEST]: {
    from: 'host',
    layout: DmHotRemove,
    decode: (bytes) => ({ kind: 'hotRemoveRequest', pages: DmHotRemove.read(bytes).page_count }),
  },
  [DM_TYPE.MEM_HOT_REMOVE_RESPONSE]: {
    from: 'guest',
    layout: DmHotRemoveResponse,
    decode(bytes) {
      const { more, range_count } = DmHotRemoveResponse.read(bytes)
      const ranges = rangesOf(bytes, DmHotRemoveResponse, range_count)
      return { kind: 'hotRemoveResponse', more: bit(more, 0n), ranges }
    },
  },
}

/**
 * Decodes one message. `bytes` may go on after it, as packets padded to eight bytes do: its own size counts. Throws
 * DmMessageError when it is none, or not one that `from` sends. Allocates what the message needs and no more.
 */
export function decodeDmMessage(from: DmSender, bytes: Uint8Array): DmMessage {
  if (bytes.length < DmHeader.size) {
    throw new DmMessageError('SHORT', `expected a message of at least ${DmHeader.size} bytes, found ${bytes.length}`)
  }
  const { type, size } = DmHeader.read(bytes)
  const form = forms[type]
  if (form === undefined) {
    throw new DmMessageError('TYPE', `expected a message of a type from 0 to 14, found type ${type}`, type)
  }
  if (form.from !== 'both' && form.from !== from) {
    throw new DmMessageError(
      'DIRECTION',
      `${form.layout.name} comes from the ${form.from}, found it sent by the ${from}`,
      type,
    )
  }
  if (size > bytes.length || size < form.layout.size) {
    const needs = `${form.layout.name} has at least ${form.layout.size} bytes`
    throw new DmMessageError('SHORT', `${needs}, its header says ${size}, found ${bytes.length}`, type)
  }
  return form.decode(bytes.subarray(0, size))
}

/** The most pages the guest may ever get, where the message is of that type. */
function decodeInfo(bytes: Uint8Array): DmMessage {
  const none = { kind: 'info', maxPages: undefined } as const
  const { info_size } = DmInfo.read(bytes)
  const needed = DmInfoHeader.size + 8
  if (info_size < needed || bytes.length < DmInfo.size + needed) return none
  const { type, data_size } = DmInfoHeader.read(bytes, DmInfo.size)
  if (type !== INFO_TYPE_MAX_PAGE_CNT || data_size !== 8) return none
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return { kind: 'info', maxPages: saturated(view.getBigUint64(DmInfo.size + DmInfoHeader.size, true)) }
}

function rangesOf(bytes: Uint8Array, layout: Struct<unknown>, count: number): PfnRange[] {
  const room = Math.floor((bytes.length - layout.size) / PAGE_RANGE_BYTES)
  if (count > room) {
    const { type } = DmHeader.read(bytes)
    throw new DmMessageError('RANGES', `${layout.name} counts ${count} ranges, it has room for ${room}`, type)
  }
  const ranges: PfnRange[] = []
  for (let i = 0; i < count; i++) {
    const range = rangeAt(bytes, layout.size + i * PAGE_RANGE_BYTES)
    if (range) ranges.push(range)
  }
  return ranges
}

/** `union dm_mem_page_range`: 40 bits of first frame, 24 bits of count. Undefined when it counts no frames. */
function rangeAt(bytes: Uint8Array, offset: number): PfnRange | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, PAGE_RANGE_BYTES)
  const upper = view.getUint32(4, true)
  const count = upper >>> 8
  return count === 0 ? undefined : { start: (upper & 0xff) * 2 ** 32 + view.getUint32(0, true), count }
}

function bit(value: bigint, index: bigint): boolean {
  return ((value >> index) & 1n) === 1n
}
