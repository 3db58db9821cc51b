import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'

/** Folder for locks and for records of paused guests: the same for every Ullage process of one user on this host. */
export function stateDir(): string {
  const { ULLAGE_STATE_DIR, XDG_RUNTIME_DIR } = process.env
  if (ULLAGE_STATE_DIR) return ULLAGE_STATE_DIR
  const { uid } = userInfo()
  if (uid === 0) return '/run/ullage'
  return XDG_RUNTIME_DIR ? join(XDG_RUNTIME_DIR, 'ullage') : join(tmpdir(), `ullage-${uid}`)
}
