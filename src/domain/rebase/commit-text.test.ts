import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Commit } from '#git/objects/parse/parse-commit';
import { parseIdent } from '#git/objects/parse/parse-ident';
import { commitText, lenientIdent, strictIdent } from './commit-text.ts';

const author = (zone: string) => parseIdent(Buffer.from(`Ann <a@x> 1600000000${zone && ` ${zone}`}`));

for (const zone of ['+0200', '-0330', '+2460']) {
  test(`${zone} is a zone`, () => {
    assert.equal(strictIdent(author(zone)).timezone, zone);
  });
}

for (const [zone, message] of [
  ['', 'parsing time "" as "-0700": cannot parse "" as "-0700"'],
  ['0200', 'parsing time "0200" as "-0700": cannot parse "0200" as "-0700"'],
  ['+2500', 'parsing time "+2500": time zone offset hour out of range'],
  ['+0161', 'parsing time "+0161": time zone offset minute out of range'],
  ['+51800', 'parsing time "+51800": time zone offset minute out of range'],
  ['+02000', 'parsing time "+02000": extra text: "0"'],
] as const) {
  test(`"${zone}" is no zone`, () => {
    assert.throws(() => strictIdent(author(zone)), { message });
    assert.equal(lenientIdent(author(zone)).timezone, '+0000');
  });
}

test('Latin-1 becomes UTF-8, other encodings stay', () => {
  const commit = (encoding: string): Commit => ({
    oid: '',
    treeOid: '',
    parentOids: [],
    author: parseIdent(Buffer.from('J\xf6rg <j@x> 1600000000 +0000', 'latin1')),
    committer: undefined,
    encoding: Buffer.from(encoding),
    subject: Buffer.alloc(0),
    body: Buffer.from('gr\xfcn\n', 'latin1'),
    signatureType: 'none',
  });

  const latin1 = commitText(commit('ISO-8859-1'));
  const other = commitText(commit('KOI8-R'));

  assert.deepEqual(
    [latin1.message.toString(), Buffer.from(latin1.author.name).toString()],
    ['gr\u00fcn\n', 'J\u00f6rg'],
  );
  assert.equal(latin1.encoding, undefined);
  assert.deepEqual(
    [other.message, other.encoding?.toString()],
    [Buffer.from('gr\xfcn\n', 'latin1'), 'KOI8-R'],
  );
});
