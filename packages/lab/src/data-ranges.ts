import { spawnSync } from 'node:child_process'
import { z } from 'zod'
import { LabError } from './lab-error.ts'
import type { BackedFile } from './lab-guest.ts'

// perl-base is on every Debian. Its lseek is a witness that shares no code with what the lab is there to test.
const SCRIPT = String.raw`
use strict; use warnings;
my ($DATA, $HOLE) = (3, 4); my @files;
for my $file (@ARGV) {
  open(my $fd, '<', $file) or die "$file: $!\n";
  my ($size, $blocks) = (stat $fd)[7, 12]; my ($at, @ranges) = (0);
  while ($at < $size) {
    my $start = sysseek($fd, $at, $DATA);
    if (!defined $start) { last if $!{ENXIO}; die "$file: SEEK_DATA: $!\n" }
    my $end = sysseek($fd, $start, $HOLE) // die "$file: SEEK_HOLE: $!\n";
    push @ranges, sprintf('[%d,%d]', $start, $end); $at = $end;
  }
  push @files, sprintf('[%d,%d,[%s]]', $size, $blocks * 512, join(',', @ranges));
}
print '[', join(',', @files), ']';
`

const Answer = z.array(z.tuple([z.number(), z.number(), z.array(z.tuple([z.number(), z.number()]))]))

/** SEEK_DATA to SEEK_HOLE ranges of these files, by a program of its own. Reads no content and allocates nothing. */
export function dataRanges(files: readonly string[]): BackedFile[] {
  const { status, stdout, stderr } = spawnSync('perl', ['-MErrno', '-e', SCRIPT, '--', ...files], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  })
  if (status !== 0) throw new LabError(`the holes of ${files.join(', ')} cannot be had: ${stderr.trim()}`)
  return Answer.parse(JSON.parse(stdout)).map(([sizeBytes, allocatedBytes, ranges], index) => ({
    file: files[index] ?? '',
    sizeBytes,
    allocatedBytes,
    ranges: ranges.map(([startByte, endByte]) => ({ startByte, endByte })),
  }))
}
