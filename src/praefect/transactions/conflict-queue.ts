/**
 * Full names of the references that a write locks; `undefined`: all of them, or unknown ones.
 * Names are compared as they are, so each byte of a name is a character.
 */
export type LockedReferences = readonly string[] | undefined;

/** A write in the queue. It holds its references, or waits for other writes. */
interface Place {
  references: LockedReferences;
  /** It has locked all references after it had held some. */
  isWidened: boolean;
  /** Writes for which it waits; it holds its references when there is none. */
  readonly ahead: Set<Place>;
  /** Writes that wait for it. */
  readonly behind: Set<Place>;
  onHeld: () => void;
}

/** The place of a write in a {@link ConflictQueue}. */
export interface QueuedWrite {
  readonly isHeld: boolean;
  /**
   * Locks all references, in addition to those that it holds: waits for the writes that hold
   * others, but not for those that only wait.
   */
  widen(): void;
  /** Ends its turn, or its wait. Only the first call counts. */
  leave(): void;
}

/**
 * Writes to one repository, in the order of their arrival. A write waits for all that came before
 * it and may lock the same references, those that wait included; so no write is overtaken by one
 * that it conflicts with. Writes to other references run at once.
 *
 * A write does not keep account of all writes that it waits for: those before a write that
 * conflicts with at least as much are waited for by that one.
 */
export class ConflictQueue {
  /** In order of arrival. */
  readonly #places = new Set<Place>();
  /** The number of those that are widened. */
  #widened = 0;

  get size(): number {
    return this.#places.size;
  }

  /** The number of writes that wait. */
  get waiting(): number {
    let count = 0;
    for (const { ahead } of this.#places) if (ahead.size > 0) count++;
    return count;
  }

  /** Adds a write. @param onHeld is called when it holds its references, also after a wait to widen. */
  enter(references: LockedReferences, onHeld: () => void): QueuedWrite {
    const place: Place = { references, isWidened: false, ahead: new Set(), behind: new Set(), onHeld };
    for (const other of [...this.#places].reverse()) {
      if (!areInConflict(other.references, references)) continue;
      wait(place, other);
      // A write does not wait for those before it that were widened after its arrival.
      if (this.#widened === 0 && covers(other.references, references)) break;
    }
    this.#places.add(place);
    return {
      get isHeld() {
        return place.ahead.size === 0;
      },
      widen: () => this.#widen(place),
      leave: () => this.#leave(place),
    };
  }

  #widen(place: Place): void {
    if (!this.#places.has(place) || place.references === undefined) return;
    place.references = undefined;
    place.isWidened = true;
    this.#widened++;
    for (const other of this.#places) {
      if (other === place) continue;
      if (other.ahead.size === 0) wait(place, other);
      // One that widens already waits for this one.
      else if (!other.isWidened) wait(other, place);
    }
  }

  #leave(place: Place): void {
    if (!this.#places.delete(place)) return;
    if (place.isWidened) this.#widened--;
    for (const each of place.ahead) each.behind.delete(place);
    for (const each of place.behind) {
      each.ahead.delete(place);
      // They may have relied on its wait for these.
      for (const other of place.ahead)
        if (areInConflict(other.references, each.references)) wait(each, other);
      if (each.ahead.size === 0) each.onHeld();
    }
  }
}

function wait(place: Place, other: Place): void {
  place.ahead.add(other);
  other.behind.add(place);
}

/** Reports whether two writes may lock the same reference, or one and a directory that it needs. */
function areInConflict(one: LockedReferences, other: LockedReferences): boolean {
  if (one === undefined || other === undefined) return true;
  return one.some((name) => other.some((each) => isBelow(name, each) || isBelow(each, name)));
}

/** Reports whether all that conflicts with the second one conflicts with the first one, too. */
export function covers(one: LockedReferences, other: LockedReferences): boolean {
  if (one === undefined) return true;
  return other?.every((name) => one.some((each) => isBelow(name, each))) ?? false;
}

/** Reports whether a name is another one, or below it. */
function isBelow(name: string, other: string): boolean {
  return name.startsWith(other) && (name.length === other.length || name[other.length] === '/');
}
