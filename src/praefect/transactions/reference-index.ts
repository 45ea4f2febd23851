/**
 * Finds the writes that lock a reference, one above it, or one below it, without a comparison of
 * all of them.
 */
export class ReferenceIndex<Write> {
  readonly #writes = new Map<string, Set<Write>>();
  /** The names in their order: those below one follow each other. */
  readonly #sorted: string[] = [];

  add(names: readonly string[], write: Write): void {
    for (const name of names) {
      const writes = this.#writes.get(name);
      if (writes !== undefined) {
        writes.add(write);
        continue;
      }
      this.#writes.set(name, new Set([write]));
      this.#sorted.splice(this.#firstFrom(name), 0, name);
    }
  }

  delete(names: readonly string[], write: Write): void {
    for (const name of names) {
      const writes = this.#writes.get(name);
      if (writes?.delete(write) !== true || writes.size > 0) continue;
      this.#writes.delete(name);
      this.#sorted.splice(this.#firstFrom(name), 1);
    }
  }

  /** Returns the writes that may lock one of the references, or one and a directory that it needs. */
  conflicting(names: readonly string[]): Set<Write> {
    const found = new Set<Write>();
    const addAll = (name: string): void => {
      for (const write of this.#writes.get(name) ?? []) found.add(write);
    };
    for (const name of names) {
      for (let end = name.indexOf('/'); end !== -1; end = name.indexOf('/', end + 1))
        addAll(name.slice(0, end));
      addAll(name);
      const directory = `${name}/`;
      for (let at = this.#firstFrom(directory); this.#sorted[at]?.startsWith(directory) === true; at++)
        addAll(this.#sorted[at] ?? '');
    }
    return found;
  }

  /** Returns the position of the first name that is not before this one. */
  #firstFrom(name: string): number {
    let [start, end] = [0, this.#sorted.length];
    while (start < end) {
      const middle = (start + end) >> 1;
      if ((this.#sorted[middle] ?? '') < name) start = middle + 1;
      else end = middle;
    }
    return start;
  }
}
