/** A place in the journal: a change, and all before it. */
export interface JournalPosition {
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** Of work without an event: the last event whose work comes before it. Default: `sequence`. */
  readonly after?: number;
}

export function isAfter(one: JournalPosition, other: JournalPosition): boolean {
  return one.sequence > other.sequence;
}
