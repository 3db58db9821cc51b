import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { childrenOf, until } from './start-service.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
/** Where the project stands in the machine, as the document of the deployment has it. */
export const INSTALLED = '/opt/ullage'

/**
 * Makes this machine's own files, with whatever is written to them kept in memory, the root of another one whose first process
 * is systemd. Control groups are those of this kernel, of whichever version, below a namespace of their own.
 */
const BECOME_A_MACHINE = `
set -e
mount --make-rprivate /
mount -t tmpfs -o size=4g tmpfs "$FOLDER"
mkdir "$FOLDER/written" "$FOLDER/work" "$FOLDER/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$FOLDER/written,workdir=$FOLDER/work" "$FOLDER/root"
cd "$FOLDER/root"
ip link set lo up
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount --rbind /dev dev
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
  mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
fi
mkdir -p opt/ullage old etc/systemd/system
mount --bind "$PROJECT" opt/ullage
cp "$(readlink -f "$PROJECT/node_modules/.bin/node")" usr/bin/node
printf '[Unit]\\nDescription=nothing but what is asked for\\n' >etc/systemd/system/bare.target
pivot_root . old
umount -l /old
exec env -i container=other PATH=${PATH} /lib/systemd/systemd --system --unit=bare.target --log-target=journal
`

/** A machine of its own on this kernel, whose systemd runs what it is told to. It dies with this process. Needs root. */
export class SystemdMachine implements AsyncDisposable {
  readonly #folder: string
  readonly #namespaces: ChildProcess
  readonly #systemd: number
  readonly #started: ChildProcess[] = []

  private constructor(folder: string, namespaces: ChildProcess, systemd: number) {
    this.#folder = folder
    this.#namespaces = namespaces
    this.#systemd = systemd
  }

  static async boot(): Promise<SystemdMachine> {
    const folder = mkdtempSync(join(tmpdir(), 'ullage-machine-'))
    const unshare = ['unshare', '--pid', '--fork', '--kill-child', '--mount', '--uts', '--ipc', '--net', '--cgroup']
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...unshare, 'bash', '-c', BECOME_A_MACHINE], {
      env: { PATH, FOLDER: folder, PROJECT: ROOT },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text
      })
    }
    const [first] = await new Promise<number[]>((found, failed) => {
      until('the namespaces are there', () => childrenOf(child.pid ?? 0).length > 0 || child.exitCode !== null)
        .then(() => found(childrenOf(child.pid ?? 0)))
        .catch(failed)
    })
    if (first === undefined) throw new Error(`no namespaces for a machine of its own: ${said}`)
    const machine = new SystemdMachine(folder, child, first)
    try {
      let why = ''
      await until(
        () => `systemd has started: ${said} ${why}`,
        () => {
          if (child.exitCode !== null) throw new Error(`there is no systemd: ${said}`)
          try {
            return machine.run('systemctl is-system-running').includes('running')
          } catch (error) {
            why = String(error)
            return false
          }
        },
        120_000,
      )
      return machine
    } catch (error) {
      await machine[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Runs lines of bash there. Returns what they print; throws, with what they complain of, when one fails. */
  run(lines: string): string {
    return execFileSync('nsenter', [...this.#enter(), 'bash', '-ec', lines], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  /** What the lines print, and nothing when they fail. */
  tryRun(lines: string): string {
    try {
      return this.run(lines)
    } catch {
      return ''
    }
  }

  /** Starts a module of the project's there. Returns what it has printed by now. */
  start(module: string): () => string {
    const node = ['node', '--conditions=@ullage/source', module]
    const child = spawn('nsenter', [...this.#enter(), ...node], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#started.push(child)
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text
    })
    return () => printed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#namespaces, 'close')
    for (const child of this.#started) child.kill('SIGTERM')
    this.#namespaces.kill('SIGKILL')
    await ended
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #enter(): string[] {
    const namespaces = ['-m', '-p', '-u', '-i', '-n', '-C', '--root', '--wd']
    return ['-t', String(this.#systemd), ...namespaces, 'env', '-i', '-C', INSTALLED, `PATH=${PATH}`, 'HOME=/root']
  }
}
