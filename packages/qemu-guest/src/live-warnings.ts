import type { OpenGuest } from '@ullage/offline-query'
import { childTypes, type CommandOptions, type QmpClient } from '@ullage/qemu'
import type { LiveRam } from './live-ram.ts'

export type Warning = OpenGuest['warnings'][number]

/** What the guest's balloon device does to memory of the host, in the words of a warning. */
export interface BalloonTraits {
  /** What becomes of ballooned memory on huge pages. */
  readonly onHugePages: string
  /** True when QEMU keeps ballooned memory while a device is passed through. */
  readonly keepsForPassthrough: boolean
}

/** What a person should know about how this guest's memory behaves. */
export async function liveWarnings(
  client: QmpClient,
  { backends }: LiveRam,
  options: CommandOptions & { readonly balloon: BalloonTraits },
): Promise<Warning[]> {
  const { balloon } = options
  const warnings: Warning[] = []
  for (const { backend, source } of backends) {
    if (source.kind === 'hugetlbfs') {
      const pages = `${source.granularityBytes / 1024} KiB`
      const text =
        `${backend.id} is on huge pages of ${pages}: ${balloon.onHugePages}, ` +
        `and a page that qemu has not mapped counts as unknown, since another process may have written it`
      warnings.push({ code: 'HUGE_PAGES', text })
    } else if (source.kind === 'privateFile') {
      const text =
        `${backend.id} is a file with share=off: guest memory is in qemu's private pages, the file is not guest memory, ` +
        `and a balloon takes pages out of both`
      warnings.push({ code: 'PRIVATE_FILE', text })
    }
  }
  if (!balloon.keepsForPassthrough) return warnings
  const types = await childTypes(client, ['/machine/peripheral', '/machine/peripheral-anon'], options)
  const passedThrough = types.find((type) => type.startsWith('vfio-'))
  if (passedThrough !== undefined) {
    const text = `a device is passed through (${passedThrough}): qemu keeps the memory of an inflated balloon`
    warnings.push({ code: 'DISCARDS_INHIBITED', text })
  }
  return warnings
}
