import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLfsFilePointer } from './lfs-file-pointer.ts';

const OID = '3ea5dd307f195f449f0e08234183b82e92c3d5f4cff11c2a6bb014f9e0de12aa';
const VERSION = 'version https://git-lfs.github.com/spec/v1';
const POINTER = `${VERSION}\noid sha256:${OID}\nsize 177735\n`;
const extension = (key: string) => `${key} sha256:${OID}`;

for (const [what, text] of [
  ['nothing else', POINTER],
  ['empty lines and carriage returns', `\n${POINTER.replaceAll('\n', '\r\n')}\r\n`],
  ['an older version', POINTER.replace('git-lfs', 'hawser')],
  ['two extensions', POINTER.replace('oid', `${extension('ext-0-a')}\n${extension('ext-1-b')}\noid`)],
  ['one extension twice', POINTER.replace('oid', `${`${extension('ext-2-a')}\n`.repeat(2)}oid`)],
  ['spaces of Unicode at both ends', `\u3000\n${POINTER}\u0085\u00a0\u2003`],
  ['empty lines up to the limit and beyond', POINTER.padEnd(2000, '\n')],
] as const) {
  test(`a pointer with ${what} is smudged`, () => {
    assert.equal(parseLfsFilePointer(Buffer.from(text))?.fileOid, OID);
  });
}

for (const [what, text] of [
  ['more text', `${POINTER}\nsomethingsomething\n`],
  ['another line', `${POINTER}x y\n`],
  ['another order', `${VERSION}\nsize 1\noid sha256:${OID}\n`],
  ['an unknown version', POINTER.replace('v1', 'v2')],
  ['a short oid', POINTER.replace('aa\n', '\n')],
  ['a negative size', POINTER.replace('177735', '-1')],
  ['a size of 2^63', POINTER.replace('177735', '9223372036854775808')],
  [
    'extensions of one priority',
    POINTER.replace('oid', `${extension('ext-0-a')}\n${extension('ext-0-b')}\noid`),
  ],
  ['a byte order mark', `\ufeff${POINTER}`],
  ['no text', ''],
] as const) {
  test(`a file with ${what} stays as it is`, () => {
    assert.equal(parseLfsFilePointer(Buffer.from(text)), undefined);
  });
}

test('a file with a byte that is no text at its end stays as it is', () => {
  const file = Buffer.concat([Buffer.from(POINTER), Buffer.from([0xa0])]);

  assert.equal(parseLfsFilePointer(file), undefined);
});
