import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder } from '@ullage/dump-job'
import { lockFile } from '@ullage/native'

/**
 * Holds the file at `path` locked until disposed or until this process dies, whatever Redis believes; undefined when
 * another process holds it. Makes the file and its folder.
 */
export async function takeHostLock(path: string): Promise<AsyncDisposable | undefined> {
  await makeFolder(dirname(path))
  const file = await open(path, 'a')
  if (lockFile(file.fd)) return { [Symbol.asyncDispose]: () => file.close() }
  await file.close()
  return undefined
}
