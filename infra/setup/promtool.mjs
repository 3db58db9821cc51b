import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PrivateApt } from './private-apt.mjs'
import { say } from './say.mjs'
import { unpackPackage } from './unpack-package.mjs'

/** The program that checks alert rules. Its package brings a service that nobody asked for, so it is unpacked, not installed. */
export const promtoolPath = (cache) => join(cache, 'promtool/usr/bin/promtool')

export const hasPromtool = (cache) => existsSync(promtoolPath(cache))

export async function ensurePromtool(cache) {
  if (hasPromtool(cache)) return
  say('promtool, of Debian’s package prometheus')
  const apt = new PrivateApt('bookworm', cache)
  const folder = dirname(dirname(dirname(promtoolPath(cache))))
  const work = `${folder}.partial`
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  unpackPackage(await apt.download(await apt.show('prometheus')), work, ['*/bin/promtool'])
  rmSync(folder, { recursive: true, force: true })
  renameSync(work, folder)
  apt.forget()
}
