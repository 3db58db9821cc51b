import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import { debianMirrors } from './apt-sources.mjs'
import { output, tryRun } from './run-command.mjs'
import { megabytes, say } from './say.mjs'
import { SetupError } from './setup-error.mjs'

// It must not outlive a set-up that is killed, or the next one finds it at work in the same folder.
const APT_GET = ['setpriv', '--pdeathsig', 'KILL', 'apt-get']

/**
 * Debian packages of one suite, without touching this machine's own apt: lists, state and cache lie in a folder of ours,
 * the mirror is the machine's own, and apt checks signatures and checksums as always.
 */
export class PrivateApt {
  #suite
  #architecture
  #folder
  #downloads
  #updated = false

  /** `architecture` is of the packages, as Debian calls it; nothing of them is run here. */
  constructor(suite, cache, { architecture = 'amd64' } = {}) {
    this.#suite = suite
    this.#architecture = architecture
    this.#folder = join(cache, 'apt', architecture === 'amd64' ? suite : `${suite}-${architecture}`)
    this.#downloads = join(cache, 'downloads')
  }

  /** The package's newest version in the suite, with its dependencies' names and versions, as its record in the index. */
  async show(name) {
    const known = await this.#show(name)
    if (known === undefined) throw new SetupError(`suite ${this.#suite} has no package ${name}`)
    return known
  }

  async has(name, version) {
    return (await this.#show(`${name}=${version}`)) !== undefined
  }

  async #show(name) {
    await this.#update()
    const { status, stdout } = tryRun(['apt-cache', '-c', this.#config, '--no-all-versions', 'show', name])
    if (status !== 0) return undefined
    const fields = new Map()
    for (const [, key, value] of stdout.split('\n\n')[0].matchAll(/^([\w-]+): (.*)$/gm)) fields.set(key, value)
    return {
      name: fields.get('Package'),
      version: fields.get('Version'),
      sizeBytes: Number(fields.get('Size')),
      sha256: fields.get('SHA256'),
      dependencies: (fields.get('Depends') ?? '').split(/\s*,\s*/).map((dependency) => dependency.split(/[\s:|]/)[0]),
    }
  }

  /** Names of these packages and all they need, down to libc. */
  async closure(names) {
    await this.#update()
    const argv = ['apt-get', '-c', this.#config, 'install', '-s', '--no-install-recommends', ...names]
    return [...output(argv).matchAll(/^Inst (\S+) /gm)].map(([, name]) => name)
  }

  /** Downloads a package, or finds it downloaded; returns its path. It is named after its checksum, and checked by it. */
  async download({ name, version, sizeBytes, sha256 }) {
    const target = join(this.#downloads, `${name}_${sha256}.deb`)
    if (existsSync(target)) return target
    const partial = join(this.#downloads, `partial-${sha256}`)
    mkdirSync(partial, { recursive: true })
    if (sizeBytes > 2e6) say(`  downloading ${name} (${megabytes(sizeBytes)})`)
    const argv = [...APT_GET, '-c', this.#config, '-qq', 'download', `${name}=${version}`]
    // apt-get continues a download of the same folder that was cut short; a second try heals a mirror's hiccup.
    const done = [1, 2].some(() => tryRun(argv, { cwd: partial }).status === 0)
    if (!done)
      throw new SetupError(`${name} ${version} could not be downloaded: ${tryRun(argv, { cwd: partial }).words}`)
    const [file] = output(['find', partial, '-name', '*.deb']).trim().split('\n')
    const found = createHash('sha256').update(readFileSync(file)).digest('hex')
    if (found !== sha256) {
      rmSync(partial, { recursive: true })
      throw new SetupError(
        `${basename(file)} has SHA256 ${found}, the index of ${this.#suite} says ${sha256}; try again`,
      )
    }
    renameSync(file, target)
    rmSync(partial, { recursive: true })
    return target
  }

  get #config() {
    return join(this.#folder, 'apt.conf')
  }

  /** Gets the suite's index, once in a set-up that asks anything of it. */
  async #update() {
    if (this.#updated) return
    const { main, security } = debianMirrors()
    if (main === undefined) throw new SetupError('the apt sources of this machine name no Debian mirror')
    say(`  reading the package index of ${this.#suite}`)
    this.#configure([[main, this.#suite]])
    const update = [...APT_GET, '-c', this.#config, '-qq', 'update', '--error-on=any']
    const { status, words } = tryRun(update)
    if (status !== 0) throw new SetupError(`the index of suite ${this.#suite} cannot be had: ${words}`)
    if (security !== undefined && this.#suite !== 'sid') {
      this.#configure([
        [main, this.#suite],
        [security, `${this.#suite}-security`],
      ])
      if (tryRun(update).status !== 0) {
        say(`  ${this.#suite}-security is not on this machine’s mirror or has expired; going on without it`)
        this.#configure([[main, this.#suite]])
        output(update)
      }
    }
    this.#updated = true
  }

  /** Removes the index: it is large, and the next set-up that needs one needs a new one. */
  forget() {
    this.#updated = false
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #configure(sources) {
    const at = (name) => join(this.#folder, name)
    for (const part of ['lists/partial', 'cache/archives/partial', 'sources']) mkdirSync(at(part), { recursive: true })
    writeFileSync(at('status'), '')
    const stanzas = sources.map(
      ([{ uri, keyring }, suite]) =>
        `Types: deb\nURIs: ${uri}\nSuites: ${suite}\nComponents: main\nSigned-By: ${keyring}\n`,
    )
    writeFileSync(at('sources/debian.sources'), stanzas.join('\n'))
    const settings = {
      'Dir::Etc::sourcelist': '/dev/null',
      'Dir::Etc::sourceparts': at('sources'),
      'Dir::Etc::preferences': '/dev/null',
      'Dir::Etc::preferencesparts': '/dev/null',
      'Dir::State': this.#folder,
      'Dir::State::lists': at('lists'),
      'Dir::State::status': at('status'),
      'Dir::Cache': at('cache'),
      'Dir::Cache::archives': at('cache/archives'),
      'Dir::Cache::pkgcache': 'pkgcache.bin',
      'Dir::Cache::srcpkgcache': '',
      'APT::Architecture': this.#architecture,
      'APT::Sandbox::User': 'root',
      'Acquire::Languages': 'none',
      // Signatures are checked; that a mirror stands still, or has archived an old suite, is no harm to a guest of the lab.
      'Acquire::Check-Valid-Until': 'false',
      'Acquire::Check-Date': 'false',
      'Acquire::GzipIndexes': 'true',
    }
    const lines = Object.entries(settings).map(([key, value]) => `${key} "${value}";`)
    // The machine's hooks are for the machine's own packages.
    for (const hook of ['Pre-Invoke', 'Post-Invoke', 'Post-Invoke-Success'])
      lines.unshift(`#clear APT::Update::${hook};`)
    lines.unshift('#clear APT::Architectures;', '#clear APT::NeverAutoRemove;')
    writeFileSync(this.#config, `${lines.join('\n')}\n`)
  }
}
