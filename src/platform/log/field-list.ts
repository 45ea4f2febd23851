/** Values of a log line by name. Names with dots are flat. `undefined` values are omitted. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * The fields of one line in the order in which they were added. Of two fields with one name the
 * later counts.
 *
 * An access line has 35 fields. As properties of an object they would be a hash table, which costs
 * more than the rest of the line: 12 µs, against 3 µs (CPU of a call that does nothing).
 */
export class FieldList {
  /** The fields are the first {@link size} entries. */
  readonly keys: string[] = [];
  readonly values: unknown[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Removes all fields. The list keeps its memory for the next line. */
  clear(): void {
    this.#size = 0;
  }

  add(key: string, value: unknown): void {
    if (value === undefined) return;
    this.keys[this.#size] = key;
    this.values[this.#size] = value;
    this.#size++;
  }

  addAll(fields: LogFields): void {
    for (const key in fields) this.add(key, fields[key]);
  }

  has(key: string): boolean {
    return this.#indexOf(key) !== -1;
  }

  get(key: string): unknown {
    const index = this.#indexOf(key);
    return index === -1 ? undefined : this.values[index];
  }

  /** Changes a field that the list has. */
  replace(key: string, value: unknown): void {
    this.values[this.#indexOf(key)] = value;
  }

  toObject(): Record<string, unknown> {
    const fields: Record<string, unknown> = {};
    for (let index = 0; index < this.#size; index++) fields[this.keys[index] ?? ''] = this.values[index];
    return fields;
  }

  /** Returns the index of the field that is in effect; -1 if there is none. */
  #indexOf(key: string): number {
    let index = this.#size - 1;
    while (index >= 0 && this.keys[index] !== key) index--;
    return index;
  }
}
