import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLUSH, packet } from '#testkit/repositories/push';
import { LsRefsParser } from './ls-refs-request.ts';
import { takeLsRefs } from './take-ls-refs.ts';

const COMMAND = packet('command=ls-refs\n');
const CAPABILITIES = `${packet('agent=git/2.45')}${packet('object-format=sha256\n')}`;
const PREFIXES = `${packet('ref-prefix HEAD\n')}${packet('ref-prefix refs/a b')}`;
const FULL = `${COMMAND}${CAPABILITIES}0001${packet('peel\n')}${PREFIXES}${FLUSH}`;

test('a whole request is understood', () => {
  assert.deepEqual(new LsRefsParser().push(Buffer.from(FULL)), {
    peel: true,
    symrefs: false,
    unborn: false,
    prefixes: [Buffer.from('HEAD'), Buffer.from('refs/a b')],
    objectFormat: 'sha256',
  });
});

test('every beginning of a request may become one', () => {
  for (let length = 0; length < FULL.length; length++) {
    assert.equal(new LsRefsParser().push(Buffer.from(FULL.slice(0, length))), 'more', FULL.slice(0, length));
  }
});

const OTHERS: readonly string[] = [
  packet('command=fetch'), // recognised by its first packet
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
  `${COMMAND}0002`,
  `${COMMAND}fff1`,
  `${COMMAND}00-1`,
  `${packet('command=ls-refs=1')}${FLUSH}`,
  `0004${FLUSH}`,
  FLUSH,
  'GET / HTTP/1.1',
  `${COMMAND}0001${packet('ref-prefix x').repeat(70_000)}${FLUSH}`, // git no longer applies prefixes
];

for (const [index, text] of OTHERS.entries()) {
  test(`${JSON.stringify(text.slice(0, 60))} is for git (${index})`, () => {
    assert.equal(new LsRefsParser().push(Buffer.from(text)), 'other');
  });
}

async function* inPieces(text: string, length: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < text.length; start += length)
    yield Buffer.from(text.slice(start, start + length));
}

test('of a request that is for git nothing is lost, however it is cut', async () => {
  const body = `${packet('command=fetch')}0001${packet('done')}${FLUSH} and more`;
  for (const length of [1, 3, 7, 1000]) {
    const { request, input } = await takeLsRefs(inPieces(body, length));

    assert.equal(request, undefined);
    assert.equal(Buffer.concat(await Array.fromAsync(input)).toString(), body);
  }
});

test('an input that ends or breaks in the middle gives git what came, and its end', async () => {
  const half = FULL.slice(0, 30);
  const ended = await takeLsRefs(inPieces(half, 10));
  assert.equal(Buffer.concat(await Array.fromAsync(ended.input)).toString(), half);

  const broken = await takeLsRefs(
    (async function* () {
      yield Buffer.from(half);
      throw new Error('line cut');
    })(),
  );
  const got: Uint8Array[] = [];
  await assert.rejects(
    (async () => {
      for await (const chunk of broken.input) got.push(chunk);
    })(),
    { message: 'line cut' },
  );
  assert.equal(Buffer.concat(got).toString(), half);
});
