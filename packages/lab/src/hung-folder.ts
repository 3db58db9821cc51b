import { closeSync, constants, openSync } from 'node:fs'
import koffi from 'koffi'
import { LabError } from './lab-error.ts'

const DEVICE = '/dev/fuse'
const MNT_DETACH = 2

/** Whether this machine lets this user have a folder that hangs: root, with /dev/fuse. */
export function canMountHungFolder(): boolean {
  if (process.getuid?.() !== 0) return false
  try {
    closeSync(openSync(DEVICE, constants.O_RDWR))
    return true
  } catch {
    return false
  }
}

/**
 * Mounts a file system at `folder` that answers nothing, as one of a network does whose server is away, until disposed (idempotent): then whoever
 * waits for it gets an error, and the folder is as it was. Whoever asks it can be killed. This process must not ask it.
 */
export function mountHungFolder(folder: string): Disposable {
  const libc = koffi.load(null)
  const mount = libc.func('int mount(const char *, const char *, const char *, unsigned long, const char *)')
  const unmount = libc.func('int umount2(const char *, int)')
  // Nobody reads from it: each question stays where it is.
  const device = openSync(DEVICE, constants.O_RDWR)
  const options = `fd=${device},rootmode=40000,user_id=0,group_id=0,allow_other`
  if (mount('hung', folder, 'fuse', 0, options) !== 0) {
    closeSync(device)
    throw new LabError(`expected to mount a file system at ${folder}, errno ${koffi.errno()}`)
  }
  let isMounted = true
  return {
    [Symbol.dispose]() {
      if (!isMounted) return
      isMounted = false
      unmount(folder, MNT_DETACH)
      closeSync(device)
    },
  }
}
