import type { WantedObjects } from '#git/walk/wanted-objects';

/** Deltas that lead to a whole object, as git's default. */
const MAX_LENGTH = 50;

/** Which objects of a pack are sent as deltas to which others. */
export class DeltaChains {
  /** True if a base may be an object that only the client has. */
  readonly isThin: boolean;
  readonly #objects: Pick<WantedObjects, 'known' | 'wanted'>;
  readonly #bases = new Map<string, string>();

  constructor(objects: Pick<WantedObjects, 'known' | 'wanted'>, isThin: boolean) {
    this.#objects = objects;
    this.isThin = isThin;
  }

  /** Reports whether an object is not sent because the client has it. */
  isOfClient(oid: string): boolean {
    return this.#objects.known.has(oid) && !this.#objects.wanted.has(oid);
  }

  /** Notes that an object is sent as a delta. */
  add(oid: string, base: string): void {
    this.#bases.set(oid, base);
  }

  /**
   * Returns an earlier object at the path of another one that can be the base of a delta: the
   * client has it, or its own chain of deltas is short and does not lead to the other one.
   */
  baseFor(oid: string): string | undefined {
    const earlier = this.#objects.wanted.get(oid);
    if (earlier === undefined) return undefined;
    if (!this.#objects.wanted.has(earlier))
      return this.isThin && this.isOfClient(earlier) ? earlier : undefined;
    let length = 0;
    for (let base: string | undefined = earlier; base !== undefined; base = this.#bases.get(base))
      if (base === oid || ++length === MAX_LENGTH) return undefined;
    return earlier;
  }
}
