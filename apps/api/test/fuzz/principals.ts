/** Somebody who asks: what their requests carry, and what no answer to them may hold. */
export interface FuzzPrincipal {
  readonly name: string
  /** Sent with each of their requests, such as `{ authorization: 'Bearer …' }`. */
  readonly headers: Readonly<Record<string, string>>
  /** Strings that belong to somebody else, such as the ids of another tenant's dumps and guests. Asked before each request. */
  forbidden(): readonly string[]
}

/** Who the fuzz asks as, in turns. The API asks nobody who they are, so there is one, and nothing is another's. */
export const principals: readonly FuzzPrincipal[] = [{ name: 'anyone', headers: {}, forbidden: () => [] }]
