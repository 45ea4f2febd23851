import { inspect } from 'node:util';

/**
 * A value that must not reach a log, an error text or a dump: tokens, passwords, key material, URLs with credentials.
 * Whatever prints it prints `[secret]`; only `reveal()` gives the value away, so a search for that word finds every use.
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
