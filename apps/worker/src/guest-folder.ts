import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type GuestAnnouncement, guestId, toFailure } from '@ullage/dump-job'

const SUFFIX = '.json'

/** Path of a guest's descriptor, whether or not it exists. Throws when `guest` is no guest id. */
export function descriptorPath(guestsDir: string, guest: string): string {
  return join(guestsDir, `${guestId.parse(guest)}${SUFFIX}`)
}

/** What is announced of a descriptor. */
export interface DescribedGuest {
  readonly backend: string
}

/**
 * A folder of guest descriptors: `web-1.json` describes the guest `web-1`. Each is read once, and again when its file
 * changes; one that cannot be read is a guest with a problem, not one that is missing.
 */
export class GuestFolder {
  readonly #folder: string
  readonly #load: (path: string) => Promise<DescribedGuest>
  readonly #known = new Map<string, { version: string; guest: GuestAnnouncement }>()

  constructor(folder: string, load: (path: string) => Promise<DescribedGuest>) {
    this.#folder = folder
    this.#load = load
  }

  /** The guests that are described now, by id, and the names of files that cannot be guests. */
  async list(): Promise<{ guests: GuestAnnouncement[]; ignored: string[] }> {
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith(SUFFIX)).sort()
    const ids = names.map((name) => name.slice(0, -SUFFIX.length))
    const usable = ids.filter((id) => guestId.safeParse(id).success)
    for (const id of this.#known.keys()) if (!usable.includes(id)) this.#known.delete(id)
    const guests = []
    for (const id of usable) guests.push(await this.#describe(id))
    return { guests, ignored: names.filter((_, index) => !usable.includes(ids[index] ?? '')) }
  }

  async #describe(id: string): Promise<GuestAnnouncement> {
    const path = descriptorPath(this.#folder, id)
    try {
      const { mtimeMs, size, ino } = await stat(path)
      const version = `${mtimeMs} ${size} ${ino}`
      const known = this.#known.get(id)
      if (known?.version === version) return known.guest
      const { backend } = await this.#load(path)
      const guest = { id, backend, problem: null }
      this.#known.set(id, { version, guest })
      return guest
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      return { id, backend: null, problem: toFailure('INVALID', message) }
    }
  }
}
