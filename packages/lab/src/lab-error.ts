/** The lab could not do what it was asked: something is missing, did not start or did not get there in time. */
export class LabError extends Error {
  override readonly name = 'LabError'
}
