import type { OpenGuest } from '@ullage/offline-query'
import type { z } from 'zod'

export interface OpenOptions {
  /** Folder for what must outlive this process: locks, and records of guests that are paused. */
  readonly stateDir: string
  readonly signal?: AbortSignal
  /** How the process that guards a paused guest is started: `systemd` where this process is a service of systemd's. */
  readonly guardianScope?: 'session' | 'systemd'
}

/** One way to reach a guest: how its `source` is written in a descriptor, and how it is opened. */
export interface Backend<Source> {
  readonly source: z.ZodType<Source>
  /** `baseDir`: the folder that relative paths in the source are relative to. */
  open(source: Source, options: OpenOptions & { readonly baseDir: string }): Promise<OpenGuest>
}

/** A backend with its source type closed over, so that backends of different types stand in one table. */
export interface AnyBackend {
  /** Returns how to open what `json` says, or throws z.ZodError. */
  parse(json: unknown): (options: OpenOptions & { readonly baseDir: string }) => Promise<OpenGuest>
}

export function backend<Source>(definition: Backend<Source>): AnyBackend {
  return {
    parse(json) {
      const source = definition.source.parse(json)
      return (options) => definition.open(source, options)
    },
  }
}
