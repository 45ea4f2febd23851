import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runGit } from '#testkit/repositories/run-git';
import { wordsOfCommand } from './people-commands.ts';

test('words are split as git quotes them', async () => {
  const words = [
    'repo',
    'description',
    'team/app',
    "it's",
    'a b',
    '!',
    '',
    "'",
    '\\',
    'ü',
    "'\\''!",
    '$(id)',
  ];
  const line = await runGit(['rev-parse', '--sq-quote', ...words]);

  assert.deepEqual(wordsOfCommand(line), words);
  assert.deepEqual(wordsOfCommand('  repo   list --json '), ['repo', 'list', '--json']);
  assert.deepEqual(wordsOfCommand(''), []);
});

for (const line of ["'a", "a'b'", '"a"', 'a;b', 'a\\ b', 'a\tb', '$x', '`id`', 'ü', 'a\nb', '\\', "'!'"])
  test(`a line that needs a shell is refused: ${JSON.stringify(line)}`, () => {
    assert.equal(wordsOfCommand(line), undefined);
  });

test('a line with too many words, or too long, is refused', () => {
  assert.equal(wordsOfCommand('a '.repeat(64))?.length, 64);
  assert.equal(wordsOfCommand('a '.repeat(65)), undefined);
  assert.equal(wordsOfCommand('a'.repeat(8193)), undefined);
});
