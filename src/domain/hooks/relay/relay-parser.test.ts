import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { MAX_CHANGES_BYTES, type RelayEvent, RelayParser } from './relay-parser.ts';

function parse(...pieces: readonly string[]): RelayEvent[] {
  const parser = new RelayParser();
  return pieces.flatMap((piece) => [...parser.push(Buffer.from(piece, 'latin1'))]);
}

const MEBIBYTE = 1 << 20;
const CALL = 'H update\nA refs/heads/x\nO /q\nT /a:/b\nP one\n+ two\nC GIT_PUSH_CERT=abc\nD\n line\n \n.\n';

test('a call is the same in whatever pieces it comes', () => {
  const [whole] = parse(CALL);
  assert.ok(whole !== undefined && whole !== 'printed');
  assert.equal(whole.hook, 'update');
  assert.deepEqual(whole.args.map(String), ['refs/heads/x']);
  assert.deepEqual(
    { ...whole.environment },
    { GIT_OBJECT_DIRECTORY: '/q', GIT_ALTERNATE_OBJECT_DIRECTORIES: '/a:/b', GIT_PUSH_CERT: 'abc' },
  );
  assert.deepEqual(whole.pushOptions, ['one\ntwo']);
  assert.equal(whole.stdin.toString(), 'line\n\n');

  for (let at = 1; at < CALL.length; at++)
    assert.deepEqual(parse(CALL.slice(0, at), CALL.slice(at)), [whole]);
  assert.deepEqual(parse(...CALL), [whole]);
});

test('variables need a name and a value', () => {
  const [call] = parse('H update\nC A=1\nC =x\nC B=\nC none\nD\n.\n');

  assert.ok(call !== undefined && call !== 'printed');
  assert.deepEqual({ ...call.environment }, { A: '1' });
});

test('a word of printing and further calls follow each other', () => {
  assert.deepEqual(
    parse(`K\n${CALL}K\n${CALL}`).map((event) => (event === 'printed' ? event : event.hook)),
    ['printed', 'update', 'printed', 'update'],
  );
});

for (const broken of [
  'X\n',
  'H\n',
  '+ x\n',
  'H x\nbad\n',
  'H x\n+\n',
  'H x\nZ y\nD\n.\n',
  'H x\nD\nunmarked\n',
  '\n',
]) {
  test(`the parser refuses ${JSON.stringify(broken)}`, () => {
    assert.throws(() => parse(broken), /^Error: hook relay: /);
  });
}

test('a line in pieces may have a mebibyte, whatever came before it', () => {
  const parser = new RelayParser();
  const feed = (text: string): RelayEvent[] => [...parser.push(Buffer.from(text))];
  const [half, rest] = ['x'.repeat(MEBIBYTE / 2), 'x'.repeat(MEBIBYTE / 2 - 2)];
  feed('H update\n');

  for (let line = 0; line < 3; line++) for (const piece of ['A ', half, rest, '\n']) feed(piece);
  assert.equal(feed('D\n.\n').length, 1);

  for (const piece of ['H ', half, rest]) feed(piece);
  assert.throws(() => feed('x'), { message: 'hook relay: line too long' });
});

test('a line that never ends is refused', () => {
  assert.throws(() => parse('H ', ...Array.from({ length: 17 }, () => 'x'.repeat(1 << 16))), {
    message: 'hook relay: line too long',
  });
});

for (const { what, begin, letter, limit, message } of [
  { what: 'fields', begin: '', letter: 'A', limit: 8 * MEBIBYTE, message: 'too many fields' },
  {
    what: 'changes',
    begin: 'D\n',
    letter: ' ',
    limit: MAX_CHANGES_BYTES,
    message: 'too many reference updates',
  },
]) {
  test(`${what} are refused above their limit`, () => {
    const parser = new RelayParser();
    const feed = (bytes: Buffer): RelayEvent[] => [...parser.push(bytes)];
    feed(Buffer.from(`H update\n${begin}`));
    const line = Buffer.from(`${letter} ${'x'.repeat(MEBIBYTE - 3)}\n`);
    for (let bytes = MEBIBYTE; bytes < limit; bytes += MEBIBYTE) assert.deepEqual(feed(line), []);

    assert.throws(() => [...feed(line), ...feed(line)], { message: `hook relay: ${message}` });
  });
}

test('bytes that are no protocol are refused or waited out, never misread', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }), (pieces) => {
      const parser = new RelayParser();
      try {
        for (const piece of pieces)
          for (const event of parser.push(Buffer.from(piece)))
            assert.ok(event === 'printed' || event.hook !== undefined);
      } catch (error) {
        assert.match(String(error), /hook relay: /);
      }
    }),
  );
});
