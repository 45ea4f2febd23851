import { nearestName } from '#base/nearest-name';
import { type KeyPath, positionOf } from '#platform/config/toml-position';

/** An invalid file. The message names the line, and never repeats a secret. */
export class PeopleFileError extends Error {
  override readonly name = 'PeopleFileError';
}

/** A table of a TOML document, of which nothing is known. */
export class TomlTable {
  readonly #document: string;
  readonly #path: KeyPath;
  readonly #values: ReadonlyMap<string, unknown>;

  /** @throws {PeopleFileError} for a value that is not a table, and a key that is not known. */
  constructor(document: string, path: KeyPath, value: unknown, known: readonly string[]) {
    this.#document = document;
    this.#path = path;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new PeopleFileError(`line ${this.#lineOf(path)}: expected a table`);
    this.#values = new Map(Object.entries(value));
    for (const key of this.#values.keys())
      if (!known.includes(key)) this.fail(key, `there is no such key${meant(key, known)}`);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  text(key: string): string | undefined {
    const value = this.#values.get(key);
    return value === undefined || typeof value === 'string' ? value : this.fail(key, 'expected a text');
  }

  /** @throws {PeopleFileError} if there is none. */
  required(key: string): string {
    return this.text(key) ?? this.fail('', `"${key}" is missing`);
  }

  texts(key: string): readonly string[] {
    const value = this.#values.get(key) ?? [];
    if (Array.isArray(value) && value.every((item): item is string => typeof item === 'string')) return value;
    return this.fail(key, 'expected a list of texts');
  }

  isTrue(key: string): boolean {
    return this.#values.get(key) === true;
  }

  tables(key: string, known: readonly string[]): TomlTable[] {
    const value = this.#values.get(key) ?? [];
    if (!Array.isArray(value))
      return this.fail(key, `expected tables [[${[...this.#names, key].join('.')}]]`);
    return value.map((item, at) => new TomlTable(this.#document, [...this.#path, key, at], item, known));
  }

  /** Reports the problem of a key; of the whole table if the key is empty. @throws {PeopleFileError} */
  fail(key: string, problem: string): never {
    throw new PeopleFileError(
      `line ${this.#lineOf([...this.#path, key])}: ${key === '' ? '' : `"${key}": `}${problem}`,
    );
  }

  get #names(): (string | number)[] {
    return this.#path.filter((part) => typeof part === 'string');
  }

  /** Returns the line of the value; inside an inline table that of the table around it. */
  #lineOf(path: KeyPath): number {
    for (let length = path.length; length > 0; length--) {
      const line = positionOf(this.#document, path.slice(0, length))?.line;
      if (line !== undefined) return line;
    }
    return 1;
  }
}

function meant(key: string, known: readonly string[]): string {
  const nearest = nearestName(key, known);
  return nearest === undefined ? `; known: ${known.join(', ')}` : `; did you mean "${nearest}"?`;
}
