import type { OpenGuest } from '@ullage/offline-query'

import { childTypes, type CommandOptions, type QmpClient } from '@ullage/qemu'
import type { LiveRam } from './live-ram.ts'

type Warning = OpenGuest['warnings'][number]

/** What a person should know about how this guest's memory behaves. */
export async function liveWarnings(
  client: QmpClient,
  { backends }: LiveRam,
  options: CommandOptions,
): Promise<Warning[]> {
  const warnings: Warning[] = []
  for (const { backend, source } of backends) {
    if (source.kind === 'hugetlbfs') {
      const pages = `${source.granularityBytes / 1024} KiB`
      const text =
        `${backend.id} is on huge pages of ${pages}: the balloon gives one back only when all of it is inflated, ` +
        `and a page that qemu has not mapped counts as unknown, since another process may have written it`
      warnings.push({ code: 'HUGE_PAGES', text })
    } else if (source.kind === 'privateFile') {
      const text =
        `${backend.id} is a file with share=off: guest memory is in qemu's private pages, the file is not guest memory, ` +
        `and a balloon takes pages out of both`
      warnings.push({ code: 'PRIVATE_FILE', text })
    }
  }
  const passedThrough = (await childTypes(client, ['/machine/peripheral', '/machine/peripheral-anon'], options)).filter(
    (type) => type.startsWith('vfio-'),
  )
  if (passedThrough.length > 0) {
    const text = `a device is passed through (${passedThrough[0]}): qemu keeps the memory of an inflated balloon`
    warnings.push({ code: 'DISCARDS_INHIBITED', text })
  }
  return warnings
}
