import type { KernelMemory } from '../kernel-memory.ts'
import { Refusal } from '../refusal.ts'
import { required, type Vmcoreinfo } from '../vmcoreinfo.ts'
import { KernelCursor } from './kernel-cursor.ts'

/** Kernels have from 100,000 to 300,000 symbols. */
const MAX_SYMBOLS = 2 ** 20
const MAX_NAMES_BYTES = 32 * 2 ** 20
/** KSYM_NAME_LEN is 512, 128 before 6.1 (Linux include/linux/kallsyms.h). */
const MAX_NAME = 1024
const TOKENS = 256

/** Symbols that VMCOREINFO tells too: by them a decoding is checked. */
const WITNESSES = ['_stext', 'init_uts_ns', 'init_top_pgt', 'swapper_pg_dir'] as const
/** The witnesses that every kernel has: text, and data (CONFIG_KALLSYMS_ALL). */
const INDISPENSABLE = ['_stext', 'init_uts_ns'] as const

/** How an entry of `kallsyms_offsets` becomes an address. */
type Decoding = (index: number, offset: number) => bigint

/**
 * Addresses of the kernel's own symbols of these names, decoded from `kallsyms_*` in guest memory where VMCOREINFO says they
 * are (Linux kernel/kallsyms.c, scripts/kallsyms.c; exported since 6.0). A name that no symbol has, or several with different
 * addresses, is missing from the answer. How offsets are to be read differs between kernels and no line tells: they are
 * read in the way that gives `_stext` and `init_uts_ns` the addresses of VMCOREINFO. Throws Refusal.
 *
 * Bounded: 2^20 symbols, 32 MiB of names, 1024 characters a name.
 */
export function findSymbols(
  memory: KernelMemory,
  info: Vmcoreinfo,
  names: readonly string[],
): ReadonlyMap<string, bigint> {
  const namesAt = symbol(info, 'kallsyms_names')
  const offsetsAt = symbol(info, 'kallsyms_offsets')
  const count = symbolCount(memory, info)
  const tokens = readTokens(memory, info)
  const wanted = new Set<string>([...names, ...WITNESSES])
  const found = indexesOf(new KernelCursor(memory, namesAt, { maxBytes: MAX_NAMES_BYTES, what: 'kallsyms_names' }), {
    count,
    tokens,
    wanted,
  })
  const missing = INDISPENSABLE.find((name) => !found.has(name))
  if (missing) throw new Refusal(`its kallsyms hold no ${missing}: expected a kernel with CONFIG_KALLSYMS_ALL`)
  const offsets = new Map<number, number>()
  for (const indexes of found.values()) {
    for (const index of indexes) offsets.set(index, readOffset(memory, offsetsAt, index))
  }
  const addressesOf = (name: string, decode: Decoding): bigint[] => [
    ...new Set((found.get(name) ?? []).map((index) => decode(index, offsets.get(index) as number))),
  ]
  const decode = decodings(memory, info, offsetsAt).find((candidate) =>
    WITNESSES.every((name) => {
      const told = info.symbol(name)
      const addresses = addressesOf(name, candidate)
      return told === undefined || addresses.length === 0 || addresses.includes(told)
    }),
  )
  if (!decode) throw new Refusal(`its kallsyms place _stext and init_uts_ns elsewhere than VMCOREINFO does`)
  const addresses = new Map<string, bigint>()
  for (const name of names) {
    const [address, ...others] = addressesOf(name, decode)
    if (address !== undefined && others.length === 0) addresses.set(name, address)
  }
  return addresses
}

function symbol(info: Vmcoreinfo, name: string): bigint {
  const address = info.symbol(name)
  if (address === undefined) {
    throw new Refusal(`its VMCOREINFO has no SYMBOL(${name}) line, which Linux has since 6.0`)
  }
  return address
}

function symbolCount(memory: KernelMemory, info: Vmcoreinfo): number {
  const bytes = memory.read(symbol(info, 'kallsyms_num_syms'), 4)
  const count = bytes ? new DataView(bytes.buffer).getUint32(0, true) : 0
  if (count === 0 || count > MAX_SYMBOLS) {
    throw new Refusal(`its kallsyms_num_syms should be from 1 to ${MAX_SYMBOLS}, found ${bytes ? count : 'nothing'}`)
  }
  return count
}

function readTokens(memory: KernelMemory, info: Vmcoreinfo): readonly string[] {
  const table = symbol(info, 'kallsyms_token_table')
  const bytes = memory.read(symbol(info, 'kallsyms_token_index'), 2 * TOKENS)
  if (!bytes) throw new Refusal('its kallsyms_token_index is not in readable guest RAM')
  const index = new DataView(bytes.buffer)
  return Array.from({ length: TOKENS }, (_, token) => {
    const at = table + BigInt(index.getUint16(2 * token, true))
    const cursor = new KernelCursor(memory, at, { maxBytes: MAX_NAME, what: 'kallsyms_token_table' })
    const codes: number[] = []
    for (let code = cursor.u8(); code !== 0; code = cursor.u8()) codes.push(code)
    return String.fromCharCode(...codes)
  })
}

/** Which symbols have the wanted names. A name is preceded by its length, in one byte or two, and by its type. */
function indexesOf(
  cursor: KernelCursor,
  options: { count: number; tokens: readonly string[]; wanted: ReadonlySet<string> },
): Map<string, number[]> {
  const { count, tokens, wanted } = options
  const found = new Map<string, number[]>()
  for (let index = 0; index < count; index++) {
    let length = cursor.u8()
    if (length >= 0x80) length = (length & 0x7f) | (cursor.u8() << 7)
    if (length === 0 || length > MAX_NAME) throw new Refusal(`its kallsyms_names hold a name of ${length} bytes`)
    let name = ''
    for (let i = 0; i < length; i++) {
      name += tokens[cursor.u8()] as string
      if (name.length > MAX_NAME) throw new Refusal(`its kallsyms_names hold a name of over ${MAX_NAME} characters`)
    }
    const plain = name.slice(1)
    if (!wanted.has(plain)) continue
    const indexes = found.get(plain) ?? []
    // A name of many symbols is of no use, and a guest could give all of them the same.
    if (indexes.length < 2) indexes.push(index)
    found.set(plain, indexes)
  }
  return found
}

function readOffset(memory: KernelMemory, offsetsAt: bigint, index: number): number {
  const at = offsetsAt + BigInt(index * 4)
  const bytes = memory.read(at, 4)
  if (!bytes) throw new Refusal(`its kallsyms_offsets at 0x${at.toString(16)} are not in readable guest RAM`)
  return new DataView(bytes.buffer).getInt32(0, true)
}

/**
 * Offsets count from `kallsyms_relative_base`; or do so when negative and are addresses else, of per-CPU variables
 * (CONFIG_KALLSYMS_ABSOLUTE_PERCPU); or, in kernels without that base, from where the offset itself stands.
 */
function decodings(memory: KernelMemory, info: Vmcoreinfo, offsetsAt: bigint): Decoding[] {
  const baseAt = info.symbol('kallsyms_relative_base')
  if (baseAt === undefined) return [(index, offset) => wrap(offsetsAt + BigInt(index * 4) + BigInt(offset))]
  const base = required(memory.readU64(baseAt), 'SYMBOL(kallsyms_relative_base)')
  return [
    (_, offset) => wrap(base + BigInt(offset >>> 0)),
    (_, offset) => (offset >= 0 ? BigInt(offset) : wrap(base - 1n - BigInt(offset))),
  ]
}

function wrap(address: bigint): bigint {
  return BigInt.asUintN(64, address)
}
