import assert from 'node:assert/strict';
import type { RawTable } from '#platform/config/decode';
import { configName, type Fields, type Key, type KeyKind, type Node } from '#platform/config/keys';

/** A key of a schema and its place. */
export interface PlacedKey {
  readonly path: readonly string[];
  readonly key: Key;
}

/** Yields the keys of all tables. */
export function* everyKey(fields: Fields, above: readonly string[] = []): Generator<PlacedKey> {
  for (const [name, node] of Object.entries(fields)) {
    const path = [...above, name];
    if (node.kind === 'table' || node.kind === 'tables') yield* everyKey(node.fields, path);
    else yield { path, key: node };
  }
}

/** Returns the headers of tables in TOML; an array gets one element. */
export function headersOf(schema: Fields, tables: readonly string[]): string {
  let fields = schema;
  let headers = '';
  for (const [index, name] of tables.entries()) {
    const node: Node | undefined = fields[name];
    assert.ok(node?.kind === 'table' || node?.kind === 'tables');
    const path = tables.slice(0, index + 1).join('.');
    headers += node.kind === 'tables' ? `[[${path}]]\n` : index === tables.length - 1 ? `[${path}]\n` : '';
    fields = node.fields;
  }
  return headers;
}

/** Returns a document that sets one key; arrays of tables have one element. */
export function documentWith(schema: Fields, path: readonly string[], raw: unknown): RawTable {
  let document: RawTable = { [path.at(-1) ?? '']: raw };
  const tables = path.slice(0, -1);
  for (const [index, name] of [...tables.entries()].reverse())
    document = {
      [name]: headersOf(schema, tables.slice(0, index + 1)).endsWith(']]\n') ? [document] : document,
    };
  return document;
}

/** Returns the value of a key in decoded values; the first element represents an array. */
export function valueAt(schema: Fields, values: RawTable, path: readonly string[]): unknown {
  let [value, fields]: [unknown, Fields] = [values, schema];
  for (const name of path) {
    const node = fields[name];
    assert.ok(node !== undefined && typeof value === 'object' && value !== null);
    value = (value as RawTable)[configName(name, node)]; // decode returns tables of this shape
    if (node.kind === 'tables' && Array.isArray(value)) value = value[0];
    if (node.kind === 'table' || node.kind === 'tables') fields = node.fields;
  }
  return value;
}

/** TOML values of each kind, with the result; `undefined` represents the key's default. */
export const GOOD_VALUES: Readonly<
  Record<KeyKind, readonly (readonly [toml: string, raw: unknown, value: unknown])[]>
> = {
  text: [
    ['"abc"', 'abc', 'abc'],
    ["'a\\b'", 'a\\b', 'a\\b'],
    ['"ü\\n"', 'ü\n', 'ü\n'],
    ['""', '', undefined],
  ],
  secret: [['"abc"', 'abc', 'abc']],
  integer: [
    ['7', 7n, 7],
    ['0', 0n, 0],
    ['1_000', 1000n, 1000],
    ['0x10', 16n, 16],
    ['9007199254740991', 9007199254740991n, Number.MAX_SAFE_INTEGER],
  ],
  'integer-or-auto': [
    ['7', 7n, 7],
    ['"auto"', 'auto', 'auto'],
  ],
  float: [
    ['0.25', 0.25, 0.25],
    ['3', 3n, 3],
    ['0', 0n, 0],
    ['-1.5e-3', -0.0015, -0.0015],
  ],
  flag: [
    ['true', true, true],
    ['false', false, false],
  ],
  duration: [
    ['"90s"', '90s', 90_000],
    ['"1h15m0.5s"', '1h15m0.5s', 4_500_500],
    ['"0s"', '0s', 0],
    ['0', 0n, 0],
    ['"-1ns"', '-1ns', -1e-6],
    ['"300µs"', '300µs', 0.3],
  ],
  'tls-version': [
    ['"TLS 1.2"', 'TLS 1.2', 'TLS 1.2'],
    ['"TLS 1.3"', 'TLS 1.3', 'TLS 1.3'],
  ],
  texts: [
    ['["a", "b"]', ['a', 'b'], ['a', 'b']],
    ['[]', [], []],
  ],
  floats: [
    ['[0.5, 1]', [0.5, 1n], [0.5, 1]],
    ['[]', [], []],
  ],
};

/** TOML values that no kind accepts. */
export const VALUES_OF_NO_KIND = ['{ a = 1 }', '[[1]]', '2026-01-02', '07:32:00'];
/** TOML values that a kind refuses, in addition to {@link VALUES_OF_NO_KIND}. */
export const BAD_VALUES: Readonly<Record<KeyKind, readonly string[]>> = {
  text: ['5', 'true', '1.5', '["a"]'],
  secret: ['5', 'true', '["a"]'],
  integer: ['"5"', '1.5', 'true', '[1]', '""', 'inf'],
  'integer-or-auto': ['"5"', '"Auto"', '""', '1.5', 'true', '[1]', 'inf'],
  float: ['"0.5"', 'true', '[1.0]'],
  flag: ['"true"', '1', '0', '[true]'],
  duration: ['"1 minute"', '"90"', '""', '5', 'true', '"1y"', '"s"', '"9999999999h"', '["1s"]'],
  'tls-version': ['"TLS 1.1"', '"1.2"', '""', '1.2'],
  texts: ['"a"', '[1]', '["a", true]'],
  floats: ['1.5', '["a"]', '[true]'],
};
