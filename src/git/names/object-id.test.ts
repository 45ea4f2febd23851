import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { suite, test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import {
  cutPaddedOid,
  EMPTY_TREE,
  isOid,
  isOidInAnyCase,
  isOidLength,
  isZeroOid,
  OID_BYTES,
  OID_DIGITS,
  objectIdProblem,
  oidAt,
  oidBytesOf,
  parseOid,
  ZERO_OID,
  zeroOidLike,
} from './object-id.ts';

const A40 = 'a'.repeat(40);
const A64 = 'a'.repeat(64);

for (const format of ['sha1', 'sha256'] as const) {
  suite(`ids of ${format}`, () => {
    test('the bytes of an id come back as its digits', () => {
      const bytes = fc.uint8Array({ minLength: OID_BYTES[format], maxLength: OID_BYTES[format] });
      fc.assert(
        fc.property(bytes, fc.nat(3), (id, at) => {
          const oid = oidAt(Buffer.concat([Buffer.alloc(at), id, Buffer.of(1)]), at, id.length);

          assert.equal(oid, Buffer.from(id).toString('hex'));
          assert.equal(oid, oidAt(Buffer.from(id)));
          assert.equal(parseOid(oid, format), oid);
          assert.ok(isOid(oid) && isOidInAnyCase(oid.toUpperCase(), format) && isOidLength(oid.length));
          assert.equal(oidBytesOf(oid), id.length);
        }),
      );
    });

    test('the empty tree and the zeros are what git has for them', (context) => {
      const scratch = makeScratchDirectory('object-id');
      context.after(() => rmSync(scratch, { recursive: true, force: true }));
      const directory = `${scratch}/x.git`;
      initRepository(directory, { objectFormat: format });

      const emptyTree = gitOutput(directory, ['hash-object', '-t', 'tree', '/dev/null']).trim();
      assert.equal(EMPTY_TREE[format], emptyTree);
      assert.equal(ZERO_OID[format], '0'.repeat(OID_DIGITS[format]));
      assert.equal(zeroOidLike(EMPTY_TREE[format]), ZERO_OID[format]);
    });
  });
}

test('an id has exactly its digits, in lower case', () => {
  for (const text of [
    '',
    'a',
    A40.slice(1),
    `${A40}a`,
    A64.slice(1),
    `${A64}a`,
    `${A40}\n`,
    `g${A40.slice(1)}`,
  ])
    assert.equal(parseOid(text), undefined, text);
  assert.equal(isOid(A40.toUpperCase()), false);
  assert.equal(parseOid(A40, 'sha256'), undefined);
  assert.equal(parseOid(A64, 'sha1'), undefined);
  assert.equal(isOidInAnyCase(`${A40.slice(2)}BC`), true);
  assert.equal(isOidInAnyCase(A64, 'sha1'), false);
  assert.deepEqual([39, 40, 41, 64].map(isOidLength), [false, true, false, true]);
});

test('only zeros stand for nothing', () => {
  assert.equal(isZeroOid(ZERO_OID.sha1), true);
  assert.equal(isZeroOid(`${'0'.repeat(39)}1`), false);
});

test('zeros behind an id of SHA-1 are cut, a peeling stays', () => {
  assert.equal(cutPaddedOid(`${A40}0`), A40);
  assert.equal(cutPaddedOid(`${A40}${'0'.repeat(24)}^{tree}`), `${A40}^{tree}`);
  assert.equal(cutPaddedOid(`${A40}0^{}`), `${A40}^{}`);
  for (const text of [A40, `${A40}1`, `${A40}${'0'.repeat(25)}`, `${A40}0:path`, 'main'])
    assert.equal(cutPaddedOid(text), undefined, text);
});

for (const [oid, problem] of [
  [A40, undefined],
  ['x', 'invalid object ID: "x", expected length 40, got 1'],
  [`g${A40.slice(1)}`, `invalid object ID: "g${A40.slice(1)}", invalid character 'g'`],
  [`A${A40.slice(1)}`, `invalid object ID: "A${A40.slice(1)}", invalid character 'A'`],
  [`"${A40.slice(1)}`, `invalid object ID: "\\"${A40.slice(1)}", invalid character '"'`],
  [`'${A40.slice(1)}`, `invalid object ID: "'${A40.slice(1)}", invalid character '\\''`],
  ['ä', 'invalid object ID: "ä", expected length 40, got 2'],
] as const) {
  test(`${JSON.stringify(oid)} is ${problem === undefined ? 'an id' : 'explained'}`, () => {
    assert.equal(objectIdProblem(oid, 'sha1'), problem);
    assert.equal(objectIdProblem(Buffer.from(oid), 'sha1'), problem);
  });
}
