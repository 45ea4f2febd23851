/** The kinds of values that a field of a JSON object can be read as. */
interface Kinds {
  readonly text: string;
  readonly number: number;
  readonly flag: boolean;
  readonly list: readonly unknown[];
  readonly object: JsonFields;
}

/**
 * The fields of a JSON object from outside, of which nothing is known. A field reads as `undefined`
 * when it is absent or `null`, or a value of another kind; {@link JsonFields.required} throws then.
 */
export class JsonFields {
  static readonly NONE = new JsonFields({});
  readonly #object: object;

  private constructor(object: object) {
    this.#object = object;
  }

  /**
   * Returns the fields of a decoded value; `undefined` if it is not an object. A list is not one.
   */
  static of(value: unknown): JsonFields | undefined {
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? new JsonFields(value)
      : undefined;
  }

  /** Returns the fields of a JSON text; `undefined` if it is not JSON, or not an object. */
  static parse(text: string): JsonFields | undefined {
    try {
      return JsonFields.of(JSON.parse(text));
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  /** Reports whether there is such a field, whatever its value. */
  has(name: string): boolean {
    return Object.hasOwn(this.#object, name);
  }

  text(name: string): string | undefined {
    const value = this.value(name);
    return typeof value === 'string' ? value : undefined;
  }

  number(name: string): number | undefined {
    const value = this.value(name);
    return typeof value === 'number' ? value : undefined;
  }

  flag(name: string): boolean | undefined {
    const value = this.value(name);
    return typeof value === 'boolean' ? value : undefined;
  }

  list(name: string): readonly unknown[] | undefined {
    const value = this.value(name);
    return Array.isArray(value) ? value : undefined;
  }

  object(name: string): JsonFields | undefined {
    return JsonFields.of(this.value(name));
  }

  /** Returns the value of a field as it was decoded. */
  value(name: string): unknown {
    return this.has(name) ? Object.getOwnPropertyDescriptor(this.#object, name)?.value : undefined;
  }

  /** Returns all fields in the order of the text. */
  entries(): [name: string, value: unknown][] {
    return Object.entries(this.#object);
  }

  /**
   * Returns the value of a field that must be there.
   *
   * @throws {TypeError} `"name" is not a number`.
   */
  required<K extends keyof Kinds>(name: string, kind: K): Kinds[K] {
    // The method of that name returns this kind of value.
    const value = this[kind](name) as Kinds[K] | undefined;
    if (value === undefined) throw new TypeError(`${JSON.stringify(name)} is not ${WORDS[kind]}`);
    return value;
  }
}

const WORDS = {
  text: 'a text',
  number: 'a number',
  flag: 'true or false',
  list: 'a list',
  object: 'an object',
} as const satisfies Record<keyof Kinds, string>;
