import { framesWithFlag, KPF, openMemoryView, unpackFixture } from '@ullage/lab'
import { PfnSet } from '@ullage/pages'
import { writeDump } from './test/write-dump.ts'
for (const name of ['virtio-v6.12-balloon', 'virtio-v6.1-vmem'] as const) {
  const guest = await unpackFixture(name)
  using memory = openMemoryView(guest.regions)
  const stored = PfnSet.of(memory.backed.allRuns())
  for (const flag of [KPF.offline, KPF.buddy])
    for (const start of framesWithFlag(guest.kpageflags, flag)) stored.delete({ start, count: 1 })
  for (const [format, compression] of [
    ['kdump', 'zlib'],
    ['kdump', 'lzo'],
    ['kdump', 'zstd'],
    ['kdump', 'snappy'],
    ['kdump', 'none'],
    ['flattened', 'zlib'],
    ['elf', 'none'],
  ] as const) {
    const path = `/tmp/vm/${name.slice(8, 12)}.${format}.${compression}`
    console.log(
      path,
      await writeDump(path, {
        format,
        compression,
        header: {
          elfNotes: guest.elfNotes,
          physBase: BigInt(
            /NUMBER.phys_base.=(-?[0-9]+)/.exec(new TextDecoder('latin1').decode(guest.elfNotes))?.[1] ?? 0,
          ),
          uname: { sysname: 'Linux', nodename: 'g', release: guest.uname, version: '#1', domainname: '' },
        },
        present: memory.extents,
        stored: [...stored.allRuns()],
        fill: (pfn, page) => memory.read({ start: pfn, count: 1 }, page),
        batchPages: 1000,
      }),
    )
  }
}
