import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readFixtureRegions } from './fixture-regions.ts'
import type { MemoryRegion } from './memory-view.ts'
import { unpackRegions } from './unpack-regions.ts'
import { readWords, unpackedFolder } from './unpacked-folder.ts'

/** Dynamic Memory messages of a real guest, what they come to, and the word of the guest's own kernel. */
export interface HypervMessages {
  /** One `{ "from": "guest" | "host", "hex": … }` a line. */
  readonly messages: string
  /** `{ "ballooned": [[start, count], …], "hotAdded": [[start, count], …] }`, in frames. */
  readonly ranges: string
  /** QEMU's log with its hv_balloon trace events: the same messages, as the host saw them. */
  readonly trace: string
  /** One u64 of KPF_* bits for each frame from 0, read moments before the guest was stopped: offline is exact. */
  readonly kpageflags: BigUint64Array
}

/** A real, ballooned guest with hot-added memory, unpacked. Its files are shared: read them, never write them. */
export interface HypervFixture extends HypervMessages {
  readonly dir: string
  /** Paths of descriptors of the same guest: its host's word from the hole map, from ranges, from messages. */
  readonly descriptors: { readonly backing: string; readonly ranges: string; readonly messages: string }
  readonly regions: readonly MemoryRegion[]
  /** Release, such as `uname -r` prints it. */
  readonly uname: string
}

/** Decompresses `hyperv-hotadd` into a temporary folder named by its content, once. */
export async function unpackHypervFixture(): Promise<HypervFixture> {
  const dir = await unpackedFolder('hyperv-hotadd', {
    takes: (file) => file.endsWith('.raw.zst'),
    write: unpackRegions,
  })
  const at = (file: string): string => join(dir, file)
  return {
    dir,
    descriptors: {
      backing: at('guest.json'),
      ranges: at('guest-ranges.json'),
      messages: at('guest-messages.json'),
    },
    regions: await readFixtureRegions(dir),
    ...(await messagesIn(dir)),
    uname: (await readFile(at('uname.txt'), 'utf8')).split(' ')[2] ?? '',
  }
}

/** Decompresses `hyperv-messages`, messages without memory. */
export async function unpackHypervMessages(): Promise<HypervMessages> {
  return messagesIn(await unpackedFolder('hyperv-messages'))
}

async function messagesIn(dir: string): Promise<HypervMessages> {
  return {
    messages: join(dir, 'dm.jsonl'),
    ranges: join(dir, 'dm-ranges.json'),
    trace: join(dir, 'dm-trace.txt'),
    kpageflags: await readWords(join(dir, 'kpageflags.bin')),
  }
}
