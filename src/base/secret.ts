import { inspect } from 'node:util';

/**
 * A value that must not appear in a log, an error text or a dump: a token, a password, key
 * material, a URL with credentials. It prints as `[secret]`. Only `reveal()` returns the value, so
 * a search for that name finds every use.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [Symbol.toPrimitive](): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
