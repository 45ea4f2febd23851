import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePackObjectsRequest } from './pack-objects-request.ts';

test('the words of upload-pack become a command', () => {
  const plain = parsePackObjectsRequest([
    'pack-objects',
    '--revs',
    '--thin',
    '--stdout',
    '--filter=blob:none',
  ]);
  const shallow = parsePackObjectsRequest(['--shallow-file', '', 'pack-objects', '--stdout', '--shallow']);

  assert.deepEqual(plain.command.words, [
    'pack-objects',
    '--stdout',
    '--revs',
    '--thin',
    '--filter=blob:none',
  ]);
  assert.deepEqual(plain.env, {});
  assert.deepEqual(shallow.command.words, ['pack-objects', '--stdout', '--shallow']);
  assert.deepEqual(shallow.env, { GIT_SHALLOW_FILE: '' });
});

const REFUSED: readonly [words: string[], reason: string][] = [
  [[], 'missing pack-objects'],
  [['upload-pack', '--stdout'], 'missing pack-objects'],
  [['--shallow-file', 'x', 'pack-objects', '--stdout'], 'missing pack-objects'],
  [['--shallow-file', ''], 'missing pack-objects'],
  [['pack-objects', '--revs', '--stdout', 'x'], 'non-flag argument'],
  [['pack-objects', '--revs'], 'missing --stdout'],
];

for (const [words, reason] of REFUSED) {
  test(`[${words.join(' ')}] is refused`, () => {
    assert.throws(() => parsePackObjectsRequest(words), {
      code: 'INVALID_ARGUMENT',
      message: `invalid pack-objects command: [${words.join(' ')}]: ${reason}`,
    });
  });
}
