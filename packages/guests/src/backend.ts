import type { OpenGuest } from '@ullage/offline-query'
import type { ZodMiniType } from 'zod/mini'
import { parseChecked, type Place } from './parse-checked.ts'

export interface OpenOptions {
  /** Folder for what must outlive this process: locks, and records of guests that are paused. */
  readonly stateDir: string
  readonly signal?: AbortSignal
  /** How the process that guards a paused guest is started: `systemd` where this process is a service of systemd's. */
  readonly guardianScope?: 'session' | 'systemd'
  /** The guest is going to be paused, where it is a live one: what takes long to start for that is started at once. */
  readonly pauses?: boolean
}

/** One way to reach a guest: how its `source` is written in a descriptor, and how it is opened. */
export interface Backend<Source> {
  readonly source: ZodMiniType<Source>
  /** `baseDir`: the folder that relative paths in the source are relative to. */
  open(source: Source, options: OpenOptions & { readonly baseDir: string }): Promise<OpenGuest>
  /** Resumes the guests of this backend that an earlier run has left paused. Absent where it pauses none. */
  resumeAbandoned?(stateDir: string): Promise<readonly AbandonedGuest[]>
}

/** What became of a guest that an earlier run had left paused. */
export interface AbandonedGuest {
  /** As its hypervisor knows it: a socket, a domain; the path of its record when that cannot be read. */
  readonly guest: string
  /** A word of its backend, such as `resumed`, `notPaused`, `gone`, `inUse` or `failed`. */
  readonly outcome: string
  /** Why it could not be resumed; it is tried again next time. */
  readonly error?: unknown
}

/** A backend with its source type closed over, so that backends of different types stand in one table. */
export interface AnyBackend {
  /** Returns how to open what `json` says, or throws DescriptorError. */
  parse(json: unknown, place: Place): (options: OpenOptions & { readonly baseDir: string }) => Promise<OpenGuest>
  resumeAbandoned(stateDir: string): Promise<readonly AbandonedGuest[]>
}

export function backend<Source>(definition: Backend<Source>): AnyBackend {
  return {
    parse(json, place) {
      const source = parseChecked(definition.source, json, place)
      return (options) => definition.open(source, options)
    },
    resumeAbandoned: async (stateDir) => (await definition.resumeAbandoned?.(stateDir)) ?? [],
  }
}
