import { ReferenceIndex } from './reference-index.ts';

/**
 * Full names of the references that a write locks; `undefined`: all of them, or unknown ones.
 * Names are compared as they are, so each byte of a name is a character.
 */
export type LockedReferences = readonly string[] | undefined;

/** Longest name that is looked up, in bytes. A write of a longer one locks all references. */
const MAX_NAME_BYTES = 1024;

/** A write in the queue. It holds its references, or waits for other writes. */
interface Place {
  /** Its number in the order of arrival. */
  readonly order: number;
  references: LockedReferences;
  /** True if it has locked all references after it had held some. */
  isWidened: boolean;
  /** Writes for which it waits; it holds its references when there is none. */
  readonly ahead: Set<Place>;
  /** Writes that wait for it. */
  readonly behind: Set<Place>;
  /** The write ahead that waits, in place of this one, for the writes before it. */
  cover: Place | undefined;
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
 * Writes to one repository, in the order of their arrival. A write waits for all earlier writes
 * that may lock the same references, including those that wait themselves. So no write overtakes
 * another one with which it conflicts. Writes to other references run at once.
 *
 * A write does not record all writes for which it waits. If an earlier write conflicts with at
 * least as much, waiting for that one is enough: it waits for those before it.
 */
export class ConflictQueue {
  /** In order of arrival. */
  readonly #places = new Set<Place>();
  /** Writes that lock all references. */
  readonly #ofAll = new Set<Place>();
  /** The other writes, by their references. */
  readonly #index = new ReferenceIndex<Place>();
  #entered = 0;
  /** Number of widened writes. */
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
  enter(given: LockedReferences, onHeld: () => void): QueuedWrite {
    // Each directory of a name is looked up, which takes the square of its length.
    const references = given?.some(({ length }) => length > MAX_NAME_BYTES) === true ? undefined : given;
    const place: Place = {
      order: this.#entered++,
      references,
      isWidened: false,
      ahead: new Set(),
      behind: new Set(),
      cover: undefined,
      onHeld,
    };
    const from = this.#newestCover(references)?.order;
    for (const other of this.#conflicting(references, from).sort((one, two) => two.order - one.order)) {
      wait(place, other);
      // A write does not wait for those before it that were widened after its arrival.
      if (this.#widened > 0 || !covers(other.references, references)) continue;
      place.cover = other;
      break;
    }
    this.#places.add(place);
    if (references === undefined) this.#ofAll.add(place);
    else this.#index.add(references, place);
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
    this.#index.delete(place.references, place);
    this.#ofAll.add(place);
    place.references = undefined;
    place.isWidened = true;
    this.#widened++;
    for (const other of this.#places) {
      if (other === place) continue;
      if (other.ahead.size === 0) wait(place, other);
      // A widening write already waits for this one.
      else if (!other.isWidened) wait(other, place);
    }
  }

  #leave(place: Place): void {
    if (!this.#places.delete(place)) return;
    if (place.isWidened) this.#widened--;
    if (place.references === undefined) this.#ofAll.delete(place);
    else this.#index.delete(place.references, place);
    for (const each of place.ahead) each.behind.delete(place);
    for (const each of place.behind) {
      each.ahead.delete(place);
      if (each.cover === place) this.#uncover(each, place);
      if (each.ahead.size === 0) each.onHeld();
    }
  }

  /** Makes a write wait for those for which the leaving write has waited in its place. */
  #uncover(place: Place, left: Place): void {
    place.cover = left.cover;
    if (left.ahead.size === 0) return;
    for (const other of this.#conflicting(place.references)) if (left.ahead.has(other)) wait(place, other);
  }

  /**
   * Returns a write that covers these references, if the newest write of the first reference does.
   * No earlier write needs to be checked. Many writes to the same references therefore take no
   * longer than others.
   */
  #newestCover(references: LockedReferences): Place | undefined {
    const [first] = references ?? [];
    if (first === undefined || this.#widened > 0) return undefined;
    const newest = this.#index.newest(first);
    return newest !== undefined && covers(newest.references, references) ? newest : undefined;
  }

  /**
   * Returns the writes that may lock the same references, or one and a directory that it needs.
   *
   * @param from number of the first write that is considered.
   */
  #conflicting(references: LockedReferences, from = 0): Place[] {
    if (references === undefined) return [...this.#places];
    const ofAll = [...this.#ofAll].filter(({ order }) => order >= from);
    return [...ofAll, ...this.#index.conflicting(references, from)];
  }
}

function wait(place: Place, other: Place): void {
  place.ahead.add(other);
  other.behind.add(place);
}

/**
 * Reports whether everything that conflicts with the second one conflicts with the first one, too.
 */
export function covers(one: LockedReferences, other: LockedReferences): boolean {
  if (one === undefined) return true;
  return other?.every((name) => one.some((each) => isBelow(name, each))) ?? false;
}

/** Reports whether a name is another one, or below it. */
function isBelow(name: string, other: string): boolean {
  return name.startsWith(other) && (name.length === other.length || name[other.length] === '/');
}
