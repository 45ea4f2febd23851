import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkReferences } from './check-references.ts';
import { temporaryTree } from './temporary-tree.ts';

function check(files: Readonly<Record<string, string>>): readonly string[] {
  using tree = temporaryTree(files);
  return checkReferences(tree).complaints;
}

const FILES = { 'src/git/real.ts': '', 'docs/guide.md': '', 'src/base/a/b.ts': '' };

test('mentions of files that exist pass, and so do code, addresses and placeholders', () => {
  const complaints = check({
    ...FILES,
    'README.md': 'See [guide](docs/guide.md), `git/real`, real.ts, src/git and https://x.y/no/such.md.\n',
    'src/git/x.ts': "import './gone.ts';\n// see ../base/a/b.ts, `proto/x.proto` and NAME.md\n",
  });

  assert.deepEqual(complaints, []);
});

test('mentions of files that do not exist are refused, in comments and in documents', () => {
  const complaints = check({
    ...FILES,
    'README.md': 'See [guide](docs/gone.md) and\n`git/gone`.\n',
    'src/git/x.ts': '/**\n * See gone.ts\n */\nconst x = 1; // and spec/diff.md\n',
  });

  assert.deepEqual(complaints, [
    'README.md:1: docs/gone.md does not exist',
    'README.md:2: git/gone does not exist',
    'src/git/x.ts:2: gone.ts does not exist',
    'src/git/x.ts:4: spec/diff.md does not exist',
  ]);
});

test('seeing no file at all is a failure', () => {
  assert.deepEqual(check({ 'src/x.json': '{}' }), ['saw no file']);
});
