import { ARM64_ERAS } from './arm64-kernels.mjs'
import { ERAS } from './kernels.mjs'
import { say, warn } from './say.mjs'

/** Says what the cache holds now and, loudly, what could not be had and what that means. */
export function reportManifest({ eras, readers, xen, hyperv }, cache) {
  const names = [...ERAS, ...ARM64_ERAS.map(({ name }) => name)].filter((name) => eras[name] !== undefined)
  for (const name of names) {
    const { missing } = eras[name]
    if (missing)
      warn(
        `no guest kernel of ${name}: ${missing}\n  Every test of this era will fail by name. Try again with: npm run setup`,
      )
  }
  for (const [name, { missing }] of Object.entries(readers)) {
    if (missing) warn(`no ${name}: ${missing}\n  Tests that need it will fail by name.`)
  }
  const kernels = names.filter((name) => !eras[name].missing).map((name) => `${name} ${eras[name].release}`)
  say(`guest kernels: ${kernels.join(', ') || 'none'}`)
  const symbols = names.filter((name) => eras[name].vmlinux)
  if (symbols.length === 0) say('debug symbols: none; crash in npm run test:long needs them (npm run setup -- --long)')
  else say(`debug symbols: ${symbols.join(', ')}`)
  if (xen?.version) say(`Xen host: ${xen.version}`)
  if (hyperv?.version) say(`QEMU with hv-balloon: ${hyperv.version}`)
  const found = Object.entries(readers).filter(([, { argv }]) => argv)
  say(`readers: ${found.map(([name, { version }]) => `${name} ${version}`).join(', ')}`)
  say(`done; downloads are kept in ${cache}`)
}
