const CHANGES: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

/** Whether requests of this method change something. */
export function isChange(method: string): boolean {
  return CHANGES.has(method)
}
