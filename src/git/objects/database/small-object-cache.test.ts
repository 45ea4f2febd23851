import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawObject } from '#git/names/object-info';
import { oidOf } from '#testkit/repositories/oid-of';
import { parseObjectId, parsePlace, SmallObjectCache } from './small-object-cache.ts';

const OID = 'a'.repeat(40);

function object(oid: string, size: number): RawObject {
  return { oid: oidOf(oid), type: 'blob', size, data: Buffer.alloc(size, oid) };
}

function cached(oid: string, size: number): RawObject {
  return { ...object(oid, size), isCached: true };
}

test('an object is found by the generation in which it was read and by its id', () => {
  const cache = new SmallObjectCache();
  cache.add(1, object(OID, 10));

  assert.deepEqual(cache.get(1, OID), cached(OID, 10));
  assert.equal(cache.get(2, OID), undefined);
  assert.equal(cache.get(1, 'b'.repeat(40)), undefined);
  cache.clear();
  assert.equal(cache.get(1, OID), undefined);
});

test('contents that are part of a larger buffer are copied, and big objects are not kept', () => {
  const cache = new SmallObjectCache();
  const whole = Buffer.alloc(1000, OID);
  const kept = cache.add(1, { ...object(OID, 10), data: whole.subarray(0, 10) });
  cache.add(1, object('b'.repeat(40), 100_000));
  whole.fill(0);

  assert.deepEqual(kept, cached(OID, 10));
  assert.equal(kept.data.buffer.byteLength, 10);
  assert.equal(cache.get(1, OID), kept);
  assert.equal(cache.get(1, 'b'.repeat(40)), undefined);
});

test('of big objects only directories are kept, and what is kept stays that of its generation', () => {
  const cache = new SmallObjectCache();
  const [small, large] = ['c', 'd'].map((digit) => digit.repeat(40)) as [string, string];
  const directory: RawObject = { ...object(small, 60_000), type: 'tree' };
  const kept = cache.add(1, directory);
  cache.add(1, { ...object(large, 70_000), type: 'tree' });

  assert.deepEqual(cache.get(1, small), { ...directory, isCached: true });
  assert.equal(cache.get(1, large), undefined);
  assert.equal(cache.add(2, kept), kept);
  assert.equal(cache.get(2, small), undefined);
});

test('what was not asked for longest goes when there is too much', () => {
  const cache = new SmallObjectCache();
  const oids = Array.from({ length: 2000 }, (_, index) => index.toString(16).padStart(40, '0'));
  for (const oid of oids) {
    cache.add(1, object(oid, 8000));
    cache.get(1, oids[0] ?? '');
  }

  assert.ok(cache.get(1, oids[0] ?? ''));
  assert.ok(cache.get(1, oids.at(-1) ?? ''));
  assert.equal(cache.get(1, oids[1] ?? ''), undefined);
});

test('a revision that is an id is told from any other', () => {
  const sha256 = 'b'.repeat(64);
  assert.deepEqual(parseObjectId(Buffer.from(OID)), { oid: OID, type: undefined });
  assert.deepEqual(parseObjectId(Buffer.from(`${OID}^{commit}`)), { oid: OID, type: 'commit' });
  assert.deepEqual(parseObjectId(Buffer.from(`${sha256}^{tree}`)), { oid: sha256, type: 'tree' });
  const commit = Buffer.from(`${sha256}^{commit}`);
  assert.deepEqual(parseObjectId(commit), { oid: sha256, type: 'commit' });
  assert.deepEqual(parseObjectId(Buffer.from(`${OID}^{}`)), { oid: OID, type: '' });
  for (const other of [
    'main',
    `${OID}~1`,
    `${OID}^`,
    `${OID}a`,
    `${OID}:path`,
    OID.toUpperCase(),
    `${OID}^{nope}`,
  ]) {
    assert.equal(parseObjectId(Buffer.from(other)), undefined, other);
  }
});

test('what lies at a path of an id is found by both, by the process that read it', () => {
  const cache = new SmallObjectCache();
  cache.addAt(1, `${OID}:dir/file`, object('b'.repeat(40), 10));

  assert.deepEqual(cache.getAt(1, `${OID}:dir/file`), cached('b'.repeat(40), 10));
  assert.deepEqual(cache.get(1, 'b'.repeat(40)), cached('b'.repeat(40), 10));
  assert.equal(cache.getAt(1, `${OID}:dir`), undefined);
  assert.equal(cache.getAt(2, `${OID}:dir/file`), undefined);
  cache.clear();
  assert.equal(cache.getAt(1, `${OID}:dir/file`), undefined);
});

test('a path of an id is told from a path of what may move', () => {
  assert.equal(parsePlace(Buffer.from(`${OID}:a b`)), `${OID}:a b`);
  assert.equal(parsePlace(Buffer.from(`${OID}:`)), `${OID}:`);
  for (const other of [
    `main:${OID}:x`,
    `${OID}~1:path`,
    OID,
    `${OID.slice(1)}:path`,
    `${OID}:${'x'.repeat(300)}`,
  ]) {
    assert.equal(parsePlace(Buffer.from(other)), undefined, other);
  }
});
