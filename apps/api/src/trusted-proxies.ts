import { BlockList, isIP } from 'node:net'
import { z } from 'zod'

/** Whether what a peer at this address says of who asks is believed. A peer of a unix socket has no address. */
export type TrustsProxy = (address: string | undefined) => boolean

const EXPECTED =
  'expected addresses or ranges of addresses of proxies, such as 10.0.0.7,fd00:1::/64, or unix for those of a unix socket'

/** The setting: addresses and ranges, with commas between them. `unix`: who connects to the unix socket that is listened at. */
export const trustedProxies = z.string().transform((text, context): TrustsProxy => {
  const list = new BlockList()
  let unixSocket = false
  for (const each of text.split(',').map((part) => part.trim())) {
    if (each === 'unix') unixSocket = true
    else if (!add(list, each)) {
      context.addIssue({ code: 'custom', message: EXPECTED })
      return z.NEVER
    }
  }
  return (address) => {
    if (!address) return unixSocket
    const family = isIP(address)
    return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
})

/** Adds `ADDRESS` or `ADDRESS/BITS`; false when it is neither. A range of all addresses would have everybody believed. */
function add(list: BlockList, text: string): boolean {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  if (version === 0 || address.includes('%')) return false
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const most = version === 4 ? 32 : 128
  const prefix = bits === undefined ? most : Number(bits)
  if (prefix < 1 || prefix > most) return false
  list.addSubnet(address, prefix, family)
  return true
}
