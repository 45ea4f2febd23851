import { isUtf8 } from 'node:buffer';
import type { TObject, TProperties, TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { percentDecoded } from '#base/network/percent-decoded';
import { Problem } from './problems.ts';
import { closed, isBytes } from './schemas/parts.ts';

/** Limit of nested objects and lists in a body; the deepest that a schema allows has four. */
const MAX_DEPTH = 16;
/** Limit of values and keys in a body: more take longer than some milliseconds to parse. */
const MAX_VALUES = 50_000;

/** Checks values by a schema, which is compiled when it is needed first. */
export class Checker {
  readonly #schema: TSchema;
  readonly #where: string;
  #validator: Validator | undefined;

  constructor(schema: TSchema, where: string) {
    this.#schema = schema;
    this.#where = where;
  }

  isValid(value: unknown): boolean {
    return this.#compiled.Check(value);
  }

  /** @throws {Problem} that names the field. */
  check(value: unknown): void {
    if (this.isValid(value)) return;
    const errors = this.#compiled.Errors(value);
    const unknown = errors.find(({ keyword }) => keyword === 'boolean');
    const { instancePath = '', message } = unknown ?? errors[0] ?? {};
    const field = instancePath.slice(1);
    const what = unknown === undefined ? (message ?? 'is not valid') : 'is not known';
    const detail = `${[this.#where, field].filter((each) => each !== '').join(': ')} ${what}.`;
    throw new Problem('invalid-request', 400, detail, { facts: { field } });
  }

  get #compiled(): Validator {
    this.#validator ??= Compile(this.#schema);
    return this.#validator;
  }
}

/** Reads the texts of an address by the schemas of their names. */
export class AddressReader {
  readonly #properties: TProperties;
  readonly #checker: Checker;

  constructor(properties: TProperties, where: string) {
    this.#properties = properties;
    this.#checker = new Checker(closed(properties) as TObject, where);
  }

  /** Returns the values of their types. @throws {Problem} */
  read(parts: Iterable<readonly [name: string, bytes: Buffer]>): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const [name, bytes] of parts) {
      const schema = Object.hasOwn(this.#properties, name) ? this.#properties[name] : undefined;
      const isList = schema !== undefined && 'items' in schema;
      if (!isList && Object.hasOwn(values, name))
        throw new Problem('invalid-request', 400, `${name} is given more than once.`);
      if (!isBytes(schema) && !isUtf8(bytes))
        throw new Problem('invalid-request', 400, `${name.slice(0, 100)} is not UTF-8.`);
      const value = isBytes(schema) ? bytes.toString('latin1') : typed(bytes.toString(), schema);
      const before = isList && Object.hasOwn(values, name) ? (values[name] as unknown[]) : [];
      Object.defineProperty(values, name, {
        value: isList ? [...before, value] : value,
        enumerable: true,
        writable: true,
        configurable: true,
      });
    }
    this.#checker.check(values);
    for (const [name, value] of Object.entries(values))
      if (isBytes(this.#properties[name])) values[name] = Buffer.from(String(value), 'latin1');
    return values;
  }
}

/** Returns a number or a truth value where the schema has one; other texts stay texts. */
function typed(text: string, schema: TSchema | undefined): unknown {
  const type = schema !== undefined && 'type' in schema ? schema.type : undefined;
  if (type === 'integer' && /^\d{1,15}$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

/** Parses the query of an address. @throws {Problem} */
export function queryParts(query: string): (readonly [string, Buffer])[] {
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.indexOf('=');
      const name = percentDecoded(at === -1 ? part : part.slice(0, at), true);
      const value = percentDecoded(at === -1 ? '' : part.slice(at + 1), true);
      if (name === undefined || value === undefined)
        throw new Problem('invalid-request', 400, 'The query has a malformed escape.');
      return [name.toString(), value] as const;
    });
}

export async function wholeBody(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(chunks));
}

/** Parses JSON. @throws {Problem} also for a value that is nested too deeply, or has too many parts. */
export function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new Problem('invalid-request', 400, 'The body is not UTF-8.');
  requireSmall(bytes);
  try {
    return JSON.parse(bytes.toString());
  } catch (cause) {
    throw new Problem('invalid-request', 400, 'The body is not valid JSON.', { cause });
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);

function requireSmall(bytes: Buffer): void {
  let depth = 0;
  let values = 0;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] ?? 0;
    if (byte === QUOTE) index = endOfText(bytes, index);
    else if (OPENING.has(byte)) depth++;
    else if (CLOSING.has(byte)) depth--;
    else if (byte === COMMA) values++;
    if (values > MAX_VALUES)
      throw new Problem('invalid-request', 400, `The body has more than ${MAX_VALUES} values.`);
    if (depth > MAX_DEPTH)
      throw new Problem('invalid-request', 400, `The body is nested more than ${MAX_DEPTH} deep.`);
  }
}

/** Returns the position of the quote that ends a text; behind the end if there is none. */
function endOfText(bytes: Buffer, start: number): number {
  let end = bytes.indexOf(QUOTE, start + 1);
  while (end !== -1 && isEscaped(bytes, end)) end = bytes.indexOf(QUOTE, end + 1);
  return end === -1 ? bytes.length : end;
}

/** Reports whether an odd number of backslashes is before a position. */
function isEscaped(bytes: Buffer, at: number): boolean {
  let first = at;
  while (bytes[first - 1] === BACKSLASH) first--;
  return (at - first) % 2 === 1;
}
