import { access, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type GuestAnnouncement, guestId, toFailure, unlessAborted } from '@ullage/dump-job'

const SUFFIX = '.json'

/** Path of a guest's descriptor, whether or not it exists. Throws when `guest` is no guest id. */
export function descriptorPath(guestsDir: string, guest: string): string {
  return join(guestsDir, `${guestId.parse(guest)}${SUFFIX}`)
}

/** Of each folder, the last look for a descriptor that was asked for. */
const lastLook = new Map<string, Promise<void>>()

/**
 * Path of the descriptor of a guest that has one. Throws what `look` does where there is none. An abort is heard also while the
 * folder's file system hangs; its reason is thrown. One look at a time: each that hangs keeps one of the process's few threads.
 */
export async function findDescriptor(
  guestsDir: string,
  guest: string,
  signal?: AbortSignal,
  look: (path: string) => Promise<void> = access,
): Promise<string> {
  const path = descriptorPath(guestsDir, guest)
  const before = lastLook.get(guestsDir) ?? Promise.resolve()
  const found = before.then(() => {
    signal?.throwIfAborted()
    return look(path)
  })
  lastLook.set(
    guestsDir,
    found.catch(() => undefined),
  )
  await unlessAborted(found, signal)
  return path
}

/** What is announced of a descriptor. */
export interface DescribedGuest {
  readonly backend: string
  readonly tenant?: string
}

/** A descriptor is read within this time, or announced as one that cannot be, in milliseconds. */
const READ_WITHIN_MS = 5_000
/** A descriptor that could not be read is tried again after this time even when its file is the same, in milliseconds. */
const BAD_FOR_MS = 30_000

interface Known {
  /** Changes with the file. */
  readonly version: string
  readonly guest: GuestAnnouncement
  readonly untilMs: number
}

export interface GuestFolderOptions {
  readonly readWithinMs?: number
}

/**
 * A folder of guest descriptors: `web-1.json` describes the guest `web-1`. Each is read once, and again when its file
 * changes; one that cannot be read is a guest with a problem, not one that is missing, and holds up no other.
 */
export class GuestFolder {
  readonly #folder: string
  readonly #load: (path: string) => Promise<DescribedGuest>
  readonly #readWithinMs: number
  readonly #known = new Map<string, Known>()
  /** Looks that did not end in time. None is begun again before it has ended. */
  readonly #late = new Map<string, Promise<GuestAnnouncement>>()

  constructor(
    folder: string,
    load: (path: string) => Promise<DescribedGuest>,
    { readWithinMs = READ_WITHIN_MS }: GuestFolderOptions = {},
  ) {
    this.#folder = folder
    this.#load = load
    this.#readWithinMs = readWithinMs
  }

  /** The guests that are described now, by id, and the names of files that cannot be guests. */
  async list(): Promise<{ guests: GuestAnnouncement[]; ignored: string[] }> {
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith(SUFFIX)).sort()
    const ids = names.map((name) => name.slice(0, -SUFFIX.length))
    const usable = new Set(ids.filter((id) => guestId.safeParse(id).success))
    for (const id of this.#known.keys()) if (!usable.has(id)) this.#known.delete(id)
    const deadline = delay(this.#readWithinMs)
    try {
      // All at once: one that takes long must not make the others late.
      const guests = await Promise.all([...usable].map((id) => this.#describeBefore(deadline.passed, id)))
      return { guests, ignored: names.filter((_, index) => !usable.has(ids[index] ?? '')) }
    } finally {
      deadline.clear()
    }
  }

  async #describeBefore(deadline: Promise<undefined>, id: string): Promise<GuestAnnouncement> {
    if (this.#late.has(id)) return this.#tooLate(id)
    const look = this.#describe(id)
    const guest = await Promise.race([look, deadline])
    if (guest) return guest
    this.#late.set(id, look)
    void look.finally(() => this.#late.delete(id))
    return this.#tooLate(id)
  }

  #tooLate(id: string): GuestAnnouncement {
    const found = `expected to read the descriptor within ${this.#readWithinMs / 1000} s, it is still being read`
    const problem = toFailure('INVALID', `${found}: ${descriptorPath(this.#folder, id)}`)
    return { id, backend: null, problem, tenant: null }
  }

  /** Never throws. */
  async #describe(id: string): Promise<GuestAnnouncement> {
    const path = descriptorPath(this.#folder, id)
    let version: string | undefined
    try {
      const { mtimeMs, ctimeMs, size, ino } = await stat(path)
      version = `${mtimeMs} ${ctimeMs} ${size} ${ino}`
      const known = this.#known.get(id)
      if (known?.version === version && performance.now() < known.untilMs) return known.guest
      const { backend, tenant = null } = await this.#load(path)
      const guest = { id, backend, problem: null, tenant }
      this.#known.set(id, { version, guest, untilMs: Number.POSITIVE_INFINITY })
      return guest
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      const guest = { id, backend: null, problem: toFailure('INVALID', message), tenant: null }
      if (version) this.#known.set(id, { version, guest, untilMs: performance.now() + BAD_FOR_MS })
      return guest
    }
  }
}

function delay(ms: number) {
  let timer: NodeJS.Timeout | undefined
  const passed = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  return { passed, clear: () => clearTimeout(timer) }
}
