import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { z } from 'zod'

/** One run of a program, with everything it started. */
export interface TimedRun {
  /** From fork to the exit of the program itself, in milliseconds. */
  readonly wallMs: number
  /** User and system time of the program and all its descendants, those it left behind included, in milliseconds. */
  readonly cpuMs: number
  /** Memory resident at most, in bytes: of the one process that had most. */
  readonly peakBytes: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunTimedOptions {
  readonly signal: AbortSignal
  readonly env?: Readonly<Record<string, string>>
}

// Perl is on every Debian (perl-base), and its syscall() reaches what Node does not. Descendants that lose their parent
// become children of this process (prctl PR_SET_CHILD_SUBREAPER), so that getrusage(RUSAGE_CHILDREN) counts all of them, in
// microseconds. ru_maxrss of a program begins with what this process had, some megabytes: less than Node has. What is
// measured dies with this process, and this one with the benchmark (PR_SET_PDEATHSIG).
const SCRIPT = String.raw`
use strict; use warnings;
my ($PRCTL, $GETRUSAGE, $CLOCK_GETTIME) = (157, 98, 228);
sub now { my $t = "\0" x 16; syscall($CLOCK_GETTIME, 1, $t) == 0 or die "clock_gettime: $!\n"; my ($s, $n) = unpack 'qq', $t; $s * 1e3 + $n / 1e6 }
my ($PDEATHSIG, $CHILD_SUBREAPER, $KILL) = (1, 36, 9);
syscall($PRCTL, $_->[0], $_->[1], 0, 0, 0) == 0 or die "prctl: $!\n" for [$CHILD_SUBREAPER, 1], [$PDEATHSIG, $KILL];
my $started = now();
my $pid = fork // die "fork: $!\n";
if ($pid == 0) { syscall($PRCTL, $PDEATHSIG, $KILL, 0, 0, 0); exec { $ARGV[0] } @ARGV or do { print STDERR "$ARGV[0]: $!\n"; exit 127 } }
waitpid($pid, 0); my $status = $?; my $wall = now() - $started;
1 while waitpid(-1, 0) > 0;
my $usage = "\0" x 144; syscall($GETRUSAGE, -1, $usage) == 0 or die "getrusage: $!\n";
my ($us, $uu, $ss, $su, $rss) = unpack 'qqqqq', $usage;
open(my $out, '>&=', 3) or die "descriptor 3: $!\n";
printf $out '{"status":%d,"wallMs":%.3f,"userMs":%.3f,"systemMs":%.3f,"peakBytes":%d}', $status, $wall, $us * 1e3 + $uu / 1e3, $ss * 1e3 + $su / 1e3, $rss * 1024;
`

const Measured = z.object({
  /** As wait(2) has it. */
  status: z.number(),
  wallMs: z.number(),
  userMs: z.number(),
  systemMs: z.number(),
  peakBytes: z.number(),
})

/** Runs a program to its end. Throws with what it said when it does not end with status 0. */
export async function runTimed(argv: readonly string[], options: RunTimedOptions): Promise<TimedRun> {
  const child = spawn('perl', ['-e', SCRIPT, '--', ...argv], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', ...options.env },
    signal: options.signal,
  })
  const [, out, err, figures] = child.stdio
  const ended = once(child, 'close')
  const [stdout, stderr, measured] = await Promise.all([readAll(out), readAll(err), readAll(figures), ended])
  const result = measured === '' ? undefined : Measured.parse(JSON.parse(measured))
  if (result?.status !== 0) {
    const how = result === undefined ? 'was not measured' : `ended with wait status ${result.status}`
    throw new Error(`${argv.join(' ')} ${how}:\n${stdout.slice(-2000)}\n${stderr.slice(-2000)}`.trim())
  }
  const { wallMs, userMs, systemMs, peakBytes } = result
  return { wallMs, cpuMs: userMs + systemMs, peakBytes, stdout, stderr }
}

function readAll(stream: unknown): Promise<string> {
  return text(stream as NodeJS.ReadableStream)
}
