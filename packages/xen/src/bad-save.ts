import { OfflineError } from '@ullage/offline-query'

/** For what breaks the format: what was expected, what was found, where. */
export function badSave(path: string, text: string): OfflineError {
  return new OfflineError('CORRUPT', `${path} is no sound image of xl save: ${text}`)
}

/** For an image in a form that is not read. */
export function unreadSave(path: string, text: string): OfflineError {
  return new OfflineError('UNSUPPORTED', `cannot read ${path}: ${text}`)
}
