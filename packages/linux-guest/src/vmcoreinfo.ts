import { Refusal } from './refusal.ts'

/** The kernel fills at most one page, and the largest page it knows is 64 KiB (kernel/vmcore_info.c). */
export const VMCOREINFO_MAX_BYTES = 65_536

/** As long as `uname -r` can be, and nothing that moves a cursor: a guest's own name for its kernel is shown to people. */
const RELEASE = /^[\x20-\x7e\xa0-\xff]{1,64}$/

/**
 * The text a Linux kernel leaves for dump tools: KEY=VALUE lines (include/linux/vmcore_info.h). Everything in it is the
 * guest's word: values are parsed strictly, and what cannot be parsed counts as absent.
 */
export class Vmcoreinfo {
  readonly text: string
  /** OSRELEASE, such as `uname -r` prints it. */
  readonly osrelease: string
  readonly #values: ReadonlyMap<string, string>

  private constructor(text: string, osrelease: string, values: ReadonlyMap<string, string>) {
    this.text = text
    this.osrelease = osrelease
    this.#values = values
  }

  /** Parses `text`, up to its first NUL. Throws Refusal when it is too long or has no OSRELEASE that a kernel can have. */
  static parse(text: string): Vmcoreinfo {
    const end = text.indexOf('\0')
    const body = end === -1 ? text : text.slice(0, end)
    if (body.length > VMCOREINFO_MAX_BYTES) {
      throw new Refusal(`its text has ${body.length} bytes, a kernel writes ${VMCOREINFO_MAX_BYTES} at most`)
    }
    const values = new Map<string, string>()
    for (const line of body.split('\n')) {
      const equals = line.indexOf('=')
      // The first of two equal keys counts: a line that was added later cannot replace what the kernel wrote at boot.
      if (equals > 0 && !values.has(line.slice(0, equals))) values.set(line.slice(0, equals), line.slice(equals + 1))
    }
    const osrelease = values.get('OSRELEASE')
    if (!osrelease) throw new Refusal('it has no OSRELEASE line')
    if (!RELEASE.test(osrelease))
      throw new Refusal('its OSRELEASE is no name of a release: at most 64 printable characters')
    return new Vmcoreinfo(body, osrelease, values)
  }

  /** The value of a line such as `BUILD-ID=…` as it stands. */
  value(key: string): string | undefined {
    return this.#values.get(key)
  }

  /** SYMBOL(name): a virtual address. */
  symbol(name: string): bigint | undefined {
    const text = this.#values.get(`SYMBOL(${name})`)
    return text !== undefined && /^[0-9a-f]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined
  }

  /** NUMBER(name): decimal and possibly negative, or hexadecimal with 0x. */
  number(name: string): bigint | undefined {
    const text = this.#values.get(`NUMBER(${name})`)
    return text !== undefined && /^(-?\d{1,20}|0x[0-9a-f]{1,16})$/.test(text) ? BigInt(text) : undefined
  }

  /** OFFSET(name), in bytes. */
  offset(name: string): number | undefined {
    return this.#count(`OFFSET(${name})`)
  }

  /** SIZE(name), in bytes. */
  size(name: string): number | undefined {
    return this.#count(`SIZE(${name})`)
  }

  /** LENGTH(name), in elements. */
  length(name: string): number | undefined {
    return this.#count(`LENGTH(${name})`)
  }

  /** PAGESIZE, in bytes. */
  get pageBytes(): number | undefined {
    return this.#count('PAGESIZE')
  }

  #count(key: string): number | undefined {
    const text = this.#values.get(key)
    return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined
  }
}

/** `value`, or a Refusal that names the line that is missing. */
export function required<T>(value: T | undefined, line: string): T {
  if (value === undefined) throw new Refusal(`it has no valid ${line} line`)
  return value
}
