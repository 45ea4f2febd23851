/**
 * A map with values that are members for a short time, see `BriefSet`: the tables of a `Map` refer
 * to cells, which are empty after the removal.
 */
export class BriefMap<K, V extends object> {
  readonly #cells = new Map<K, { value: V | undefined }>();

  get size(): number {
    return this.#cells.size;
  }

  get(key: K): V | undefined {
    return this.#cells.get(key)?.value;
  }

  set(key: K, value: V): this {
    this.delete(key);
    this.#cells.set(key, { value });
    return this;
  }

  delete(key: K): boolean {
    const cell = this.#cells.get(key);
    if (cell !== undefined) cell.value = undefined;
    return this.#cells.delete(key);
  }

  /** Visits the values in the order of insertion, including those that are added meanwhile. */
  forEach(visit: (value: V) => void): void {
    for (const { value } of this.#cells.values()) if (value !== undefined) visit(value);
  }
}
