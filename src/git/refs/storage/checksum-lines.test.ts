import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isChecksumLine } from './checksum-lines.ts';

// Gitaly 19.0: git/checksum.go.
for (const [name, counts] of [
  ['HEAD', true],
  ['refs/heads/a', true],
  ['refs/tags/a', true],
  ['refs/keep-around/a', true],
  ['refs/merge-requests/1/head', true],
  ['refs/environments/a', true],
  ['refs/notes/a', true],
  ['refs/x/HEAD', true],
  ['refs/x/refs/heads/a', true],
  ['refs/remotes/origin/a', false],
  ['refs/x', false],
  ['refs/headsx', false],
  ['refs/pipelines/1', false],
] as const) {
  test(`${name} ${counts ? 'counts' : 'does not count'}`, () => {
    assert.equal(isChecksumLine(name), counts);
    const text = `HEAD${name}refs/heads/`;
    assert.equal(isChecksumLine(text, 4, 4 + name.length), counts);
  });
}
