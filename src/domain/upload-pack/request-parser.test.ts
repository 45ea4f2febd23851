import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLUSH, packet } from '#testkit/repositories/push';
import { RequestParser } from './request-parser.ts';

const COMMAND = packet('command=ls-refs\n');
const CAPABILITIES = `${packet('agent=git/2.45')}${packet('object-format=sha256\n')}`;
const PREFIXES = `${packet('ref-prefix HEAD\n')}${packet('ref-prefix refs/a b')}`;
const FULL = `${COMMAND}${CAPABILITIES}0001${packet('peel\n')}${PREFIXES}${FLUSH}`;

const OID = '1'.repeat(40);
const CLONE = ['thin-pack', 'no-progress', 'include-tag', 'ofs-delta', `want ${OID}`, 'done'];

/** Returns a fetch. */
function request(lines: readonly string[], capabilities: readonly string[] = ['agent=git/2.39.5']): string {
  const text = (all: readonly string[]): string => all.map((line) => packet(`${line}\n`)).join('');
  return `${text(['command=fetch', ...capabilities])}0001${text(lines)}${FLUSH}`;
}

function parse(text: string) {
  return new RequestParser().push(Buffer.from(text));
}

/** Returns the key of a fetch. */
function keyOf(text: string): string | undefined {
  const parsed = parse(text);
  return typeof parsed === 'object' && parsed.name === 'fetch' ? parsed.key : undefined;
}

test('a whole ls-refs is understood', () => {
  assert.deepEqual(parse(FULL), {
    name: 'ls-refs',
    peel: true,
    symrefs: false,
    unborn: false,
    prefixes: [Buffer.from('HEAD'), Buffer.from('refs/a b')],
    objectFormat: 'sha256',
  });
});

test('every beginning of a request may become one', () => {
  for (const whole of [FULL, request(CLONE)])
    for (let length = 0; length < whole.length; length++)
      assert.equal(parse(whole.slice(0, length)), 'more', whole.slice(0, length));
});

test('a clone is a fetch; the name of the client is no part of its key', () => {
  assert.deepEqual(parse(request(CLONE)), {
    name: 'fetch',
    key: `\n${CLONE.join('\n')}`,
    wants: [OID],
    others: CLONE.filter((line) => !line.startsWith('want')),
    isDone: true,
  });
  assert.equal(keyOf(request(CLONE, ['agent=jgit', 'session-id=1'])), keyOf(request(CLONE)));
});

test('everything that changes the answer is part of the key', () => {
  const keys = [
    request(CLONE),
    request(CLONE, ['object-format=sha256']),
    request([...CLONE, 'deepen 1']),
    request([...CLONE, 'filter blob:none']),
    request(CLONE.filter((line) => line !== 'include-tag')),
    request(CLONE.map((line) => line.replace(OID, '2'.repeat(40)))),
  ].map(keyOf);

  assert.equal(new Set(keys).size, 6);
  assert.ok(!keys.includes(undefined));
});

const OTHERS: readonly string[] = [
  `${packet('command=none')}${FLUSH}`,
  `${packet('agent=x')}${COMMAND}${FLUSH}`,
  `${COMMAND}${COMMAND}${FLUSH}`,
  `${COMMAND}${packet('session-id=x')}${FLUSH}`,
  `${COMMAND}${packet('server-option=x')}${FLUSH}`,
  `${COMMAND}${packet('object-format=sha1')}${packet('object-format=sha1')}${FLUSH}`,
  `${COMMAND}0001${packet('peel\n\n')}${FLUSH}`,
  `${COMMAND}0001${packet('unknown')}${FLUSH}`,
  `${COMMAND}0001${packet('peel\0')}${FLUSH}`,
  `${COMMAND}00010001${FLUSH}`,
  `${COMMAND}${FLUSH}${FLUSH}`,
  `${COMMAND}${FLUSH}00`,
  `${COMMAND}0002${FLUSH}`,
  `${COMMAND}fff1`,
  `${COMMAND}00-1`,
  `${packet('command=ls-refs=1')}${FLUSH}`,
  `0004${FLUSH}`,
  FLUSH,
  'GET / HTTP/1.1',
  `${COMMAND}0001${packet('ref-prefix x').repeat(70_000)}`, // git no longer applies prefixes
  request([...CLONE, 'deepen-not refs/heads/x']),
  request([...CLONE, 'want-ref refs/heads/x']),
  request(CLONE, ['server-option=x']),
  request(['done']),
  `${request(CLONE)}${FLUSH}`,
  request(CLONE).replace(packet('done\n'), `0001${packet('done\n')}`),
  request(CLONE).replace('0001', ''),
];

for (const [index, text] of OTHERS.entries()) {
  test(`${JSON.stringify(text.slice(0, 60))} is for git (${index})`, () => {
    assert.equal(parse(text), 'other');
  });
}
