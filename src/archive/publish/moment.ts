/** A place in the journal: a change, and all before it. */
export interface Moment {
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
}

export function isAfter(one: Moment, other: Moment): boolean {
  return one.sequence > other.sequence;
}
