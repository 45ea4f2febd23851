import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { parseCommit, parseCommitInTurns } from './parse-commit.ts';
import { FALLBACK_SECONDS, parseIdent } from './parse-ident.ts';
import { parseTagInTurns } from './parse-tag.ts';
import { parseTrailers } from './parse-trailers.ts';
import { parseTreeInTurns } from './parse-tree.ts';

const TREE = 'a64a3026a42b9e47157c46ca5d2779afb03cef03';

function commitOf(text: string) {
  return parseCommit('oid', Buffer.from(text, 'latin1'));
}

function identOf(text: string): unknown[] {
  const { name, email, seconds, timezone } = parseIdent(Buffer.from(text, 'latin1'));
  return [name.toString('latin1'), email.toString('latin1'), seconds, timezone.toString('latin1')];
}

test('a plain commit comes out whole', () => {
  const commit = commitOf(
    `tree ${TREE}\nparent p1\nparent p2\nauthor A <a@x> 1 +0200\ncommitter B <b@x> 2 -0100\n` +
      'encoding latin1\n\nsub\r\n\nbody\n',
  );

  assert.equal(commit.treeOid, TREE);
  assert.deepEqual(commit.parentOids, ['p1', 'p2']);
  assert.equal(commit.author?.name.toString(), 'A');
  assert.equal(commit.committer?.seconds, 2n);
  assert.equal(commit.encoding.toString(), 'latin1');
  assert.equal(commit.subject.toString(), 'sub');
  assert.equal(commit.body.toString(), 'sub\r\n\nbody\n');
  assert.equal(commit.signatureType, 'none');
});

test('other work gets a turn while very many parents are read', async () => {
  const data = Buffer.from(`tree ${TREE}\n${`parent ${TREE}\n`.repeat(400_000)}\n`);
  let turns = 0;
  const count = setInterval(() => turns++, 1);

  await parseCommitInTurns(TREE, data);
  clearInterval(count);

  assert.ok(turns > 0);
});

test('parents are read in a row and one by one, whatever their lines contain', async () => {
  const ids = fc.constantFrom(TREE, TREE.toUpperCase(), 'p1', `${TREE} more`, ' ', 'x'.repeat(38), 'tree');
  const lines = fc.oneof(
    ids.map((id) => `parent ${id}`),
    fc.constantFrom('parents x', 'parent', `paremt ${TREE}`, ` parent ${TREE}`, `parent  ${TREE}`, 'x y'),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(lines), fc.boolean(), fc.boolean(), async (given, isSigned, hasMessage) => {
      const signed = isSigned ? ['gpgsig -----BEGIN SSH SIGNATURE-----', ` parent ${TREE}`, 'parent no'] : [];
      const text = [`tree ${TREE}`, ...given, ...signed, ...(hasMessage ? ['', 'm\n\nparent x'] : [])].join(
        '\n',
      );

      const commit = parseCommit(TREE, Buffer.from(text));

      assert.deepEqual(await parseCommitInTurns(TREE, Buffer.from(text)), commit);
      const parents = given.filter((line) => line.startsWith('parent ')).map((line) => line.slice(7));
      assert.deepEqual(commit.parentOids, parents);
      assert.equal(commit.body.toString(), hasMessage ? 'm\n\nparent x' : '');
      assert.equal(commit.signatureType, isSigned ? 'ssh' : 'none');
    }),
    // Two lines that are together as long as one with an id.
    { examples: [[[`parent ${TREE}`, `parent ${'x'.repeat(38)}`, 'x', `parent ${TREE}`], false, true]] },
  );
});

for (const [line, expected] of [
  ['A U Thor <a@x> 1600000000 +0200', ['A U Thor', 'a@x', 1_600_000_000n, '+0200']],
  ['Only Name', ['Only Name', '', undefined, '']],
  ['No Close <a@x 1 +0000', ['No Close', '', undefined, '']],
  [' two  <a@x> 1 +0000', [' two ', 'a@x', 1n, '+0000']],
  ['A <a@x>', ['A', 'a@x', undefined, '']],
  ['A <a@x> 1', ['A', 'a@x', 1n, '']],
  ['A <a@x> 1 +0000 more', ['A', 'a@x', 1n, '']],
  ['A <a@x>\t007  +0000\r', ['A', 'a@x', 7n, '+0000']],
  ['A <a@x> +5 Z', ['A', 'a@x', 5n, 'Z']],
  ['A <a@x> -5 +0000', ['A', 'a@x', FALLBACK_SECONDS, '+0000']],
  ['A <a@x> 1.5 +0000', ['A', 'a@x', FALLBACK_SECONDS, '+0000']],
  ['A <a@x> 0x10 +0000', ['A', 'a@x', FALLBACK_SECONDS, '+0000']],
  ['A <a@x> 9007199254740992 +0000', ['A', 'a@x', 9_007_199_254_740_992n, '+0000']],
  ['A <a@x> 9007199254740993 +0000', ['A', 'a@x', FALLBACK_SECONDS, '+0000']],
  ['A <a<b>c> 1 +0000', ['A', 'a<b', FALLBACK_SECONDS, '']],
  ['', ['', '', undefined, '']],
  ['<> 1 +0000', ['', '', 1n, '+0000']],
] as const) {
  test(`the person ${JSON.stringify(line)} is read as Gitaly reads it`, () => {
    const actual = identOf(line);

    // Three words after the address mean no zone, and a word that is not a number means no time.
    assert.deepEqual(actual, expected);
  });
}

for (const [value, type] of [
  ['-----BEGIN PGP SIGNATURE-----', 'pgp'],
  ['-----BEGIN PGP MESSAGE-----', 'pgp'],
  ['-----BEGIN SIGNED MESSAGE-----', 'x509'],
  ['-----BEGIN SSH SIGNATURE-----', 'ssh'],
  ['-----BEGIN PGP SIGNATURE-----\r', 'none'],
  ['constructor', 'none'],
] as const) {
  test(`a signature that begins ${JSON.stringify(value)} is of type ${type}`, () => {
    const commit = commitOf(
      `tree ${TREE}\ngpgsig ${value}\n abc\n author X <x> 1 +0000\nencoding late\n` +
        'author Late <l@x> 1 +0000\n\nx',
    );

    assert.equal(commit.signatureType, type);
    assert.equal(commit.encoding.length, 0);
    assert.equal(commit.author, undefined);
  });
}

test('odd commits lose nothing but what is odd', () => {
  assert.equal(commitOf(`tree ${TREE}\nauthor \n\nx`).author?.name.length, 0);
  assert.equal(commitOf(`tree ${TREE}\nauthor\n\nx`).author, undefined);
  assert.equal(
    commitOf(`tree ${TREE}\nauthor A <a> 1 +0\nauthor B <b> 1 +0\n\nx`).author?.name.toString(),
    'B',
  );
  assert.equal(commitOf(`tree ${TREE}\nauthor A <a> 1 +0`).body.length, 0);
  assert.equal(commitOf(`tree ${TREE}\n\n`).body.length, 0);
  assert.equal(commitOf(`tree ${TREE}\n\n\nx`).subject.length, 0);
  assert.equal(commitOf(`tree ${TREE}\n\na\rb\r\r\nx`).subject.toString(), 'a\rb');
});

test('a tag keeps its message as it is and knows a signature inside of it', async () => {
  const text =
    `object ${TREE}\ntype tree\ntag v1\ntagger A <a@x> 1 +0000\n\nmessage\n` +
    '-----BEGIN SSH SIGNATURE-----\nabc\n';
  const tag = await parseTagInTurns('oid', Buffer.from(text));

  assert.equal(tag.targetOid, TREE);
  assert.equal(tag.targetType, 'tree');
  assert.equal(tag.name.toString(), 'v1');
  assert.equal(tag.tagger?.email.toString(), 'a@x');
  assert.equal(tag.signatureType, 'ssh');
  assert.equal(tag.message.toString(), 'message\n-----BEGIN SSH SIGNATURE-----\nabc\n');
  assert.equal(
    (await parseTagInTurns('oid', Buffer.from('tag x\n\n-----BEGIN SSH SIGNATURE-----\n'))).signatureType,
    'none',
  );
});

test('trailers keep to the limits', () => {
  const parse = (text: string): string[] =>
    parseTrailers(Buffer.from(text)).map(({ key, value }) => `${key}=${value}`);

  assert.deepEqual(parse('A: b\0Key With Space : v \r\0empty:\0prose\0: nothing\0C: d: e'), [
    'A=b',
    'Key With Space=v',
    'empty=',
    'C=d: e',
  ]);
  const [longKey, longValue] = ['k'.repeat(128), 'v'.repeat(512)];
  assert.deepEqual(parse(`${longKey}: ${longValue}\0C: d`), [`${longKey}=${longValue}`, 'C=d']);
  assert.deepEqual(parse(`A: b\0${'k'.repeat(129)}: v\0C: d`), ['A=b']);
  assert.deepEqual(parse(`A: b\0K: ${'v'.repeat(513)}\0C: d`), ['A=b']);
  assert.equal(parse('K: v\0'.repeat(70)).length, 64);
  assert.deepEqual(parse(''), []);
});

test('trees that are formatted and parsed are the same again', async () => {
  const entry = fc.record(
    {
      mode: fc.constantFrom(0o100644, 0o100755, 0o120000, 0o40000, 0o160000),
      name: fc
        .uint8Array({ minLength: 1, maxLength: 20 })
        .map((bytes) => Buffer.from(bytes.map((byte) => byte || 1))),
      oid: fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    },
    { noNullPrototype: true },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(entry), async (entries) => {
      const data = entries.map(({ mode, name, oid }) =>
        Buffer.concat([Buffer.from(`${mode.toString(8)} `), name, Buffer.of(0), Buffer.from(oid, 'hex')]),
      );
      assert.deepEqual(await parseTreeInTurns(Buffer.concat(data), 20), entries);
    }),
  );
});

test('garbage never breaks a parser in another way than by its own error', async () => {
  const pieces = fc.constantFrom(
    'tree ',
    'author ',
    'gpgsig ',
    'tag ',
    '\n',
    '\n\n',
    ' ',
    '<',
    '>',
    '\0',
    '100644 a',
    ':',
    '+0000',
    '9'.repeat(30),
  );
  const garbage = fc.array(
    fc.oneof(
      pieces.map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 30 }),
    ),
    { maxLength: 30 },
  );
  await fc.assert(
    fc.asyncProperty(garbage, async (parts) => {
      const data = Buffer.concat(parts);
      parseCommit('oid', data);
      await parseTagInTurns('oid', data);
      parseTrailers(data);
      try {
        await parseTreeInTurns(data, 32);
      } catch (error) {
        assert.equal((error as Error).message, 'malformed tree object');
      }
    }),
    { numRuns: 500 },
  );
});
