import assert from 'node:assert/strict';
import { type Oid, parseOid } from '#git/names/object-id';

/** Returns a text that a test knows to be an object id as one. */
export function oidOf(text: string): Oid {
  const oid = parseOid(text);
  assert.ok(oid !== undefined, `no object id: ${text}`);
  return oid;
}
