/** A value in a {@link BriefSet}. */
export interface Member<T> {
  readonly value: T;
  /** Index in the set; -1 after the removal. */
  at: number;
}

/**
 * A set of large objects that are members for a short time. Its order is not that of insertion.
 *
 * A `Set` is a bad place for them. V8 replaces the table of a `Set` or `Map` after some changes,
 * and the old table refers to the new one and to what was in it. Once one table is in the old
 * generation of the heap, so are all later ones with their contents, dead or not, until the next
 * full collection: every call would become old garbage.
 */
export class BriefSet<T> {
  readonly #members: Member<T>[] = [];

  get size(): number {
    return this.#members.length;
  }

  /** Adds a value, also if it is a member already. Keep the result for {@link delete}. */
  add(value: T): Member<T> {
    const member = { value, at: this.#members.length };
    this.#members.push(member);
    return member;
  }

  /** Removes a member, once. */
  delete(member: Member<T>): void {
    if (member.at === -1) return;
    const last = this.#members.pop();
    if (last !== undefined && last !== member) {
      this.#members[member.at] = last;
      last.at = member.at;
    }
    member.at = -1;
  }

  /** Iterates over the values of this moment. */
  [Symbol.iterator](): IterableIterator<T> {
    return this.#members.map(({ value }) => value).values();
  }
}
