import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { trustedRefName } from '#git/names/ref-name';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { parseLooseRef, readLooseRef } from './loose-ref.ts';

const directory = makeScratchDirectory('loose');
after(() => rmSync(directory, { recursive: true }));

const OID = '0123456789abcdef'.repeat(4).slice(0, 40);

for (const text of [`${OID}\n`, OID, `${OID} more`, `${OID}\tx\n`]) {
  test(`${JSON.stringify(text)} is an id`, () => {
    assert.deepEqual(parseLooseRef(Buffer.from(text)), { oid: OID });
  });
}

for (const text of ['ref: refs/heads/a\n', 'ref:refs/heads/a', 'ref: \t\n\r refs/heads/a \t\r\n']) {
  test(`${JSON.stringify(text)} is symbolic`, () => {
    assert.deepEqual(parseLooseRef(Buffer.from(text)), { symbolicTarget: Buffer.from('refs/heads/a') });
  });
}

for (const text of [
  'ref: \vrefs/heads/a\n', // vertical tab and form feed are no space to git
  'ref: refs/heads/a\f\n',
  '',
  'garbage\n',
  `${'0'.repeat(40)}\n`,
  `${OID}x\n`,
  ` ${OID}\n`,
  OID.toUpperCase(),
  OID.slice(1),
  'ref: heads/a\n',
  'ref: refs/heads/a b\n',
  'ref:\n',
  'Ref: refs/heads/a\n',
]) {
  test(`${JSON.stringify(text)} is left to git`, () => {
    assert.throws(() => parseLooseRef(Buffer.from(text)), FallBackToGit);
  });
}

test('a file of any name is read; a directory and nothing are none; others are left to git', () => {
  const name = trustedRefName(Buffer.from('refs-\xff', 'latin1'));
  writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), name]), `${OID}\n`);
  mkdirSync(join(directory, 'directory'));
  symlinkSync('directory', join(directory, 'link'));
  writeFileSync(join(directory, 'largest'), OID.padEnd(8192));
  writeFileSync(join(directory, 'large'), OID.padEnd(8193));

  assert.deepEqual(readLooseRef(directory, name), { oid: OID });
  assert.deepEqual(readLooseRef(directory, trustedRefName(Buffer.from('largest'))), { oid: OID });
  for (const other of ['directory', 'absent'])
    assert.equal(readLooseRef(directory, trustedRefName(Buffer.from(other))), undefined);
  for (const other of ['link', 'large'])
    assert.throws(() => readLooseRef(directory, trustedRefName(Buffer.from(other))), FallBackToGit);
});
