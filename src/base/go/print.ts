import { messageOf } from '../gitaly-error.ts';
import { isError } from '../is-error.ts';

/** Returns a value as `%v` prints it: `[a b]` for lists and bytes, `map[k:v]` for maps. */
export function print(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (isError(value)) return messageOf(value);
  if (value instanceof Map) return print(Object.fromEntries(value));
  if (Array.isArray(value) || value instanceof Set || value instanceof Uint8Array)
    return `[${[...value].map(print).join(' ')}]`;
  if ('toJSON' in value) return String(value);
  const entries = Object.entries(value).sort(byName);
  return `map[${entries.map(([key, inner]) => `${key}:${print(inner)}`).join(' ')}]`;
}

/**
 * Returns a value as Go's JSON encoder sees it: objects with sorted keys, errors as their messages,
 * bytes as base64.
 */
export function jsonValue(value: unknown): unknown {
  if (isError(value)) return value.message;
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Map) return jsonValue(Object.fromEntries(value));
  if (Array.isArray(value) || value instanceof Set) return [...value].map(jsonValue);
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return value;
  const entries = Object.entries(value).sort(byName);
  return Object.fromEntries(entries.map(([key, inner]) => [key, jsonValue(inner)]));
}

function byName([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : 1;
}
