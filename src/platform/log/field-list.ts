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
  readonly keys: string[] = [];
  readonly values: unknown[] = [];

  add(key: string, value: unknown): void {
    if (value === undefined) return;
    this.keys.push(key);
    this.values.push(value);
  }

  addAll(fields: LogFields): void {
    for (const key in fields) this.add(key, fields[key]);
  }

  get(key: string): unknown {
    return this.values[this.keys.lastIndexOf(key)];
  }

  /** Changes a field that the list has. */
  replace(key: string, value: unknown): void {
    this.values[this.keys.lastIndexOf(key)] = value;
  }

  toObject(): Record<string, unknown> {
    const fields: Record<string, unknown> = {};
    for (const [index, key] of this.keys.entries()) fields[key] = this.values[index];
    return fields;
  }
}
