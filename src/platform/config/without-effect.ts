import { quote } from '#base/go/quote';
import { isTable, type RawTable, showUnknownKey, type UnknownKey } from './decode.ts';
import type { Fields, Node } from './keys.ts';
import { type KeyPath, showPath } from './toml-position.ts';

/** A key that is set, and the reason why this server ignores it. */
export interface KeyWithoutEffect {
  readonly path: KeyPath;
  readonly reason: string;
}

/** A key that is set in vain, and a message about it. */
export interface UselessKey {
  readonly path: KeyPath;
  readonly message: string;
}

/** Yields each key that does not exist, and each that has no effect. */
export function* uselessKeys(
  fields: Fields,
  raw: RawTable,
  unknown: readonly UnknownKey[],
): Generator<UselessKey> {
  for (const key of unknown)
    yield { message: `unknown configuration key ${showUnknownKey(key)}`, path: key.path };
  for (const { path, reason } of keysWithoutEffect(fields, raw))
    yield { message: `configuration key ${quote(showPath(path))} has no effect: ${reason}`, path };
}

/** Yields keys of a document that have no effect, at any depth, in the order of the schema. */
export function* keysWithoutEffect(
  fields: Fields,
  raw: RawTable,
  above: KeyPath = [],
): Generator<KeyWithoutEffect> {
  for (const [key, node] of Object.entries(fields)) {
    const value = rawValue(raw, key);
    if (value !== undefined) yield* inNode(node, value, [...above, key]);
  }
}

function* inNode(node: Node, value: unknown, path: KeyPath): Generator<KeyWithoutEffect> {
  if (node.noEffect !== undefined) yield* ignored(node, { path, reason: node.noEffect }, value);
  else if (node.kind === 'table' && isTable(value)) yield* keysWithoutEffect(node.fields, value, path);
  else if (node.kind === 'tables' && Array.isArray(value)) {
    for (const [index, item] of value.entries())
      if (isTable(item)) yield* keysWithoutEffect(node.fields, item, [...path, index]);
  }
}

/**
 * A feature that is switched off has no effect in Gitaly either, and neither have its other keys.
 */
function* ignored(node: Node, key: KeyWithoutEffect, value: unknown): Generator<KeyWithoutEffect> {
  if (node.kind !== 'table' || !('enabled' in node.fields)) yield key;
  else if (isTable(value) && rawValue(value, 'enabled') === true)
    yield { ...key, path: [...key.path, 'enabled'] };
}

function rawValue(raw: RawTable, key: string): unknown {
  return Object.entries(raw).find(([name]) => name.toLowerCase() === key.toLowerCase())?.[1];
}
