/** A place in the journal: a change, and all before it. */
export interface JournalPosition {
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
}

export function isAfter(one: JournalPosition, other: JournalPosition): boolean {
  return one.sequence > other.sequence;
}
