import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertCpuBelow } from '#testkit/measure/cpu-limit';
import type { Git } from '../command/git.ts';
import { revisionInput } from './revision-input.ts';

function arrange(revListStdinPseudo: boolean, ...revisions: (string | Uint8Array)[]) {
  const git = { capabilities: { revListStdinPseudo } };
  const { stdin, words } = revisionInput(git as Git, revisions); // it reads nothing else
  return { stdin: stdin.toString(), words: words.map(String) };
}

test('a line each, in order, and a line feed splits a revision', () => {
  assert.deepEqual(arrange(true, 'main', '^ä', '--all\n--not', Buffer.from('a..b')), {
    stdin: 'main\n^ä\n--all\n--not\na..b\n',
    words: [],
  });
});

test('from the first pseudo-revision on, an older git gets words', () => {
  assert.deepEqual(arrange(false, 'main\nb', '--not', 'ä'), { stdin: 'main\nb\n', words: ['--not', 'ä'] });
  assert.deepEqual(arrange(false, 'main\nb'), { stdin: 'main\nb\n', words: [] });
});

test('a line that git would parse as an option is refused, wherever it is', () => {
  for (const revision of ['--output=x', 'main\n--output=x', '^main\n--output=x\n--all', 'main\n--'])
    assert.throws(() => arrange(true, revision), { code: 'INVALID_ARGUMENT' }, revision);
});

test('a dash in the middle of a range is left to git, which finds no such name', () => {
  for (const revision of ['main..--output=x', '^--output=x', 'a\r-x'])
    assert.deepEqual(arrange(true, revision), { stdin: `${revision}\n`, words: [] });
});

test('a mebibyte of line feeds takes little time', async () => {
  for (const lines of ['\n'.repeat(1 << 20), `${'\n'.repeat(1 << 20)}--all`])
    await assertCpuBelow(500, () => arrange(true, lines));
});
