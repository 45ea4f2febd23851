/** A write with its number in the order of arrival. */
interface Numbered {
  readonly order: number;
}

/**
 * Finds the writes that lock a reference, one above it, or one below it, without comparing all of
 * them. Writes are added in the order of their arrival.
 */
export class ReferenceIndex<Write extends Numbered> {
  /** The writes of each name, in the order of their arrival. */
  readonly #writes = new Map<string, Write[]>();
  /** The names in their order: those below one follow each other. */
  readonly #sorted: string[] = [];

  add(names: readonly string[], write: Write): void {
    for (const name of new Set(names)) {
      const writes = this.#writes.get(name);
      if (writes !== undefined) {
        writes.push(write);
        continue;
      }
      this.#writes.set(name, [write]);
      this.#sorted.splice(this.#firstFrom(name), 0, name);
    }
  }

  delete(names: readonly string[], write: Write): void {
    for (const name of new Set(names)) {
      const writes = this.#writes.get(name);
      // Writes end roughly in the order of their arrival, so this one is among the first.
      const at = writes?.indexOf(write) ?? -1;
      if (writes === undefined || at === -1) continue;
      writes.splice(at, 1);
      if (writes.length > 0) continue;
      this.#writes.delete(name);
      this.#sorted.splice(this.#firstFrom(name), 1);
    }
  }

  /** Returns the write that was added last with exactly this name. */
  newest(name: string): Write | undefined {
    return this.#writes.get(name)?.at(-1);
  }

  /**
   * Returns the writes that may lock one of the references, or one and a directory that it needs.
   *
   * @param from number of the first write that is considered.
   */
  conflicting(names: readonly string[], from = 0): Set<Write> {
    const found = new Set<Write>();
    const addAll = (name: string): void => {
      const writes = this.#writes.get(name) ?? [];
      for (let at = writes.length - 1; at >= 0; at--) {
        const write = writes[at];
        if (write === undefined || write.order < from) return;
        found.add(write);
      }
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
