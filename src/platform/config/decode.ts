import { messageOf } from '#base/gitaly-error';
import { parseDurationMs } from '#base/go/duration';
import { quote } from '#base/go/quote';
import { nearestName } from '#base/nearest-name';
import { Secret } from '#base/secret';
import { goType, structField } from './go-names.ts';
import { type ConfigOf, configName, type Fields, type Key, type Node } from './keys.ts';
import { type KeyPath, showPath } from './toml-position.ts';

/**
 * A raw document: objects for tables, arrays, and scalars. Whole numbers are bigint, so that `1`
 * and `1.0` differ.
 */
export interface RawTable {
  [name: string]: unknown;
}

/** A value of the wrong type or format. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  readonly path: KeyPath;
  readonly read: unknown;
  /**
   * True if Gitaly's TOML decoder reports a position for this error. Errors without one end
   * `configuration validate` with exit code 1.
   */
  readonly positioned: boolean;

  constructor(path: KeyPath, read: unknown, message: string, positioned: boolean) {
    super(message);
    this.path = path;
    this.read = read;
    this.positioned = positioned;
  }
}

export interface UnknownKey {
  readonly path: KeyPath;
  /** The most similar known name in the same table. */
  readonly nearest: string | undefined;
  /** All names in the same table. */
  readonly known: readonly string[];
}

/** Returns an unknown key with the name that may be meant, or with all that its table has. */
export function showUnknownKey({ known, nearest, path }: UnknownKey): string {
  const hint =
    nearest === undefined ? `; known here: ${known.join(', ')}` : `, did you mean ${quote(nearest)}?`;
  return quote(showPath(path)) + hint;
}

export interface Decoded<F extends Fields> {
  /** Values by the names of the typed configuration, with defaults. */
  readonly values: ConfigOf<F>;
  readonly unknown: UnknownKey[];
}

/**
 * Decodes a raw document by the schema. Key names are case-insensitive, as in Gitaly. Unknown keys
 * are listed, not refused.
 *
 * @throws {DecodeError} at the first value, in document order, that has the wrong type or format.
 */
export function decode<F extends Fields>(fields: F, raw: RawTable): Decoded<F> {
  const unknown: UnknownKey[] = [];
  const values: object = decodeTable(fields, raw, [], unknown);
  return { values: values as ConfigOf<F>, unknown }; // one value of the described type for each field
}

function decodeTable(fields: Fields, raw: RawTable, path: KeyPath, unknown: UnknownKey[]): RawTable {
  const values: RawTable = {};
  for (const [name, value] of Object.entries(raw)) {
    const known = fieldName(fields, name);
    const node = known === undefined ? undefined : fields[known];
    if (known === undefined || node === undefined)
      unknown.push({
        path: [...path, name],
        nearest: nearestName(name, Object.keys(fields)),
        known: Object.keys(fields),
      });
    else values[configName(known, node)] = decodeNode(node, value, [...path, known], unknown);
  }
  for (const [name, node] of Object.entries(fields)) values[configName(name, node)] ??= absent(node);
  return values;
}

/** Returns the schema's spelling of a key. */
export function fieldName(fields: Fields, name: string): string | undefined {
  if (Object.hasOwn(fields, name)) return name;
  return Object.keys(fields).find((candidate) => candidate.toLowerCase() === name.toLowerCase());
}

function absent(node: Node): unknown {
  if (node.kind === 'table') return decodeTable(node.fields, {}, [], []);
  return node.kind === 'tables' ? [] : node.default;
}

function decodeNode(node: Node, value: unknown, path: KeyPath, unknown: UnknownKey[]): unknown {
  switch (node.kind) {
    case 'table':
      if (!isTable(value)) throw mismatch(path, value, node);
      return decodeTable(node.fields, value, path, unknown);
    case 'tables':
      if (!Array.isArray(value)) throw mismatch(path, value, node);
      return value.map((item: unknown, index) => {
        if (!isTable(item)) throw mismatch(path, item, node);
        return decodeTable(node.fields, item, [...path, index], unknown);
      });
    default:
      return decodeValue(node, value, path);
  }
}

function decodeValue(key: Key, value: unknown, path: KeyPath): unknown {
  switch (key.kind) {
    case 'text':
      if (typeof value !== 'string') throw mismatch(path, value, key);
      return value === '' ? key.default : value;
    case 'secret':
      if (typeof value !== 'string') throw mismatch(path, value, key);
      return value === '' ? undefined : new Secret(value);
    case 'integer':
      return decodeInteger(key, value, path);
    case 'integer-or-auto':
      if (typeof value === 'bigint' || value === 'auto') return value === 'auto' ? value : Number(value);
      if (typeof value !== 'string') throw mismatch(path, value, key);
      throw new DecodeError(
        path,
        value,
        `toml: ${showPath(path)}: ${quote(value)} is neither "auto" nor a whole number`,
        true,
      );
    case 'float':
      return decodeFloat(key, value, path);
    case 'flag':
      if (typeof value !== 'boolean') throw mismatch(path, value, key);
      return value;
    case 'duration':
      return decodeText(key, value, path, parseDurationMs);
    case 'tls-version':
      return decodeText(key, value, path, parseTlsVersion);
    case 'texts':
      if (key.acceptsOne === true && typeof value === 'string') return value === '' ? [] : [value];
      return decodeList(key, value, path, (item) => {
        if (typeof item !== 'string') throw mismatch(path, item, key);
        return item;
      });
    case 'floats':
      return decodeList(key, value, path, (item) => decodeFloat(key, item, path));
  }
}

function decodeInteger(key: Key, value: unknown, path: KeyPath): number {
  if (typeof value !== 'bigint') throw mismatch(path, value, key);
  const type = key.integerType ?? 'int';
  if (type.startsWith('u') && value < 0n) {
    throw new DecodeError(path, value, `toml: negative number ${value} does not fit in an ${type}`, false);
  }
  return Number(value);
}

function decodeFloat(key: Key, value: unknown, path: KeyPath): number {
  if (typeof value !== 'bigint' && typeof value !== 'number') throw mismatch(path, value, key);
  return Number(value);
}

function decodeList<T>(key: Key, value: unknown, path: KeyPath, decodeItem: (item: unknown) => T): T[] {
  if (!Array.isArray(value)) throw mismatch(path, value, key);
  return value.map(decodeItem);
}

/**
 * Decodes types that Gitaly reads from text: it accepts the text of any scalar, and the parser
 * decides.
 */
function decodeText<T>(key: Key, value: unknown, path: KeyPath, parse: (text: string) => T): T {
  if (typeof value === 'object') throw mismatch(path, value, key);
  try {
    return parse(String(value));
  } catch (error) {
    throw new DecodeError(path, value, `toml: ${messageOf(error)}`, true);
  }
}

function parseTlsVersion(text: string): string {
  if (text !== 'TLS 1.2' && text !== 'TLS 1.3') throw new Error(`unsupported TLS version: ${quote(text)}`);
  return text;
}

/** Returns the error of Gitaly's TOML decoder for a value of the wrong type. */
function mismatch(path: KeyPath, value: unknown, node: Node): DecodeError {
  const into =
    `cannot decode TOML ${tomlType(value)} into struct field ${structField(path)} of type ` +
    `${goType(path, node)}`;
  switch (typeof value) {
    case 'boolean':
      return new DecodeError(path, value, `toml: cannot assign boolean to a ${value}`, true);
    case 'number':
      return new DecodeError(
        path,
        value,
        `toml: float cannot be assigned to ${goType(path, node).replace(/^\[\].*/, 'slice')}`,
        true,
      );
    case 'string':
    case 'bigint':
      return new DecodeError(path, value, `toml: ${into}`, true);
    default:
      return new DecodeError(path, value, `toml: ${into}`, false);
  }
}

function tomlType(value: unknown): string {
  if (typeof value === 'bigint') return 'integer';
  if (Array.isArray(value)) return 'array';
  if (value instanceof Date) return 'datetime';
  return isTable(value) ? 'table' : typeof value;
}

export function isTable(value: unknown): value is RawTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
