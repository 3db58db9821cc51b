import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { runLoudly, tryRun } from './run-command.mjs'
import { say, warn } from './say.mjs'
import { SetupError } from './setup-error.mjs'

const POLICY = '/usr/sbin/policy-rc.d'
const OUR_POLICY = '#!/bin/sh\n# Here while the set-up of Ullage installs packages.\nexit 101\n'

/** Installs Debian packages without questions, recommendations or services started. */
export async function installPackages(names) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_MODE: 'l' }
  const apt = ['apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0']
  if ((await runLoudly([...apt, 'update'], { env })) !== 0) {
    warn('apt-get update did not reach every source of this machine; going on with the package lists there are')
  }
  const status = await withoutServices(() =>
    runLoudly([...apt, 'install', '-y', '--no-install-recommends', ...names], { env }),
  )
  if (status !== 0) throw new SetupError(`apt-get could not install ${names.join(', ')}: its own words are above`)
  if (names.includes('redis-server')) disableService('redis-server')
  for (const name of names.filter((each) => each.startsWith('swift-'))) disableService(name)
}

/** Keeps packages from starting their services: invoke-rc.d asks this program, and 101 means no. */
async function withoutServices(action) {
  if (existsSync(POLICY) && readFileSync(POLICY, 'utf8') !== OUR_POLICY) return action()
  const restore = () => rmSync(POLICY, { force: true })
  const interrupted = () => {
    restore()
    process.exit(130)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  writeFileSync(POLICY, OUR_POLICY, { mode: 0o755 })
  for (const signal of signals) process.once(signal, interrupted)
  try {
    return await action()
  } finally {
    restore()
    for (const signal of signals) process.off(signal, interrupted)
  }
}

/** We start private servers only: the one the package would start at the next boot is not wanted. */
function disableService(name) {
  if (!existsSync('/run/systemd/system')) return
  tryRun(['systemctl', 'disable', '--now', `${name}.service`])
  say(`Debian packages: the ${name} service is switched off, a private server is started when one is needed`)
}
