import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { parseRefName } from './ref-name.ts';

test('a name is checked as git does it', () => {
  const words = [
    'a',
    'é',
    '-a',
    '.a',
    'a.',
    'a..b',
    'a.lock',
    'a b',
    'a@{',
    '@',
    'a/',
    '/a',
    'a//b',
    'a\x7f',
  ];
  const names = words.flatMap((word) => [`refs/heads/${word}`, `refs/${word}`, word]);
  for (const name of [...names, 'HEAD', 'refs/', 'refs', 'heads/a', '']) {
    const { status } = spawnSync('git', ['check-ref-format', name]);
    const isFull = name === 'HEAD' || name.startsWith('refs/');
    const isRef = name === 'HEAD' || (isFull && status === 0);
    for (const form of [name, Buffer.from(name), new Uint8Array(Buffer.from(name))])
      assert.equal(parseRefName(form)?.toString(), isRef ? name : undefined, name);
  }
});
