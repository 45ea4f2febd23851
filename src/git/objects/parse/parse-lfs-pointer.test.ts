import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { parseLfsPointer } from './parse-lfs-pointer.ts';

const OID = '91eff75a492a3ed0dfcb544d7f31326bc4014c8551849c192fd1e48d4dd2c897';
const VERSION = 'version https://git-lfs.github.com/spec/v1\n';
const parse = (text: string) => parseLfsPointer(Buffer.from(text, 'latin1'));

test('a pointer says what it was written with', () => {
  const oids = fc.stringMatching(/^[0-9a-f]{64}$/);
  fc.assert(
    fc.property(oids, fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (fileOid, fileSize) => {
      assert.deepEqual(parse(`${VERSION}oid sha256:${fileOid}\nsize ${fileSize}\n`), { fileOid, fileSize });
    }),
  );
});

for (const [what, text] of [
  ['CRLF', `${VERSION}oid sha256:${OID}\r\nsize 1\r\n`],
  ['a carriage return in front of a line', `${VERSION}x\roid sha256:${OID}\nsize 1\n`],
  ['an unknown version', `version https://hawser.github.com/spec/v1\noid sha256:${OID}\nsize 1\n`],
  ['a leading space', ` ${VERSION}oid sha256:${OID}\nsize 1\n`],
  ['upper-case digits', `${VERSION}oid sha256:${OID.toUpperCase()}\nsize 1\n`],
  ['a digit too many', `${VERSION}oid sha256:${OID}0\nsize 1\n`],
  ['a size of 2^63', `${VERSION}oid sha256:${OID}\nsize 9223372036854775808\n`],
  ['a negative size', `${VERSION}oid sha256:${OID}\nsize -1\n`],
  ['201 bytes', `${VERSION}oid sha256:${OID}\nsize 1\n`.padEnd(201, 'x')],
] as const) {
  test(`a blob with ${what} is no pointer`, () => assert.equal(parse(text), undefined));
}

test('other lines may stand anywhere, and the last line need not end', () => {
  assert.deepEqual(parse(`${VERSION}size 007\next-0-x y\noid sha256:${OID}`), { fileOid: OID, fileSize: 7n });
});

test('any bytes are a pointer or not, without an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 250 }), (bytes) => {
      parseLfsPointer(Buffer.concat([Buffer.from(VERSION), bytes]));
    }),
  );
});
