import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

function checkReferences(files: Readonly<Record<string, string>>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-references-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  const script = join(import.meta.dirname, 'check-references.ts');
  const run = spawnSync(process.execPath, [script, root], { encoding: 'utf8' });
  rmSync(root, { recursive: true });
  assert.equal(run.status, run.stderr === '' ? 0 : 1);
  return run.stderr.split('\n').filter((line) => line !== '');
}

const FILES = { 'src/git/real.ts': '', 'docs/guide.md': '', 'src/base/a/b.ts': '' };

test('mentions of files that exist pass, and so do code, addresses and placeholders', () => {
  const complaints = checkReferences({
    ...FILES,
    'README.md': 'See [guide](docs/guide.md), `git/real`, real.ts, src/git and https://x.y/no/such.md.\n',
    'src/git/x.ts': "import './gone.ts';\n// see ../base/a/b.ts, `proto/x.proto` and NAME.md\n",
  });

  assert.deepEqual(complaints, []);
});

test('mentions of files that do not exist are refused, in comments and in documents', () => {
  const complaints = checkReferences({
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
  assert.deepEqual(checkReferences({ 'src/x.json': '{}' }), ['saw no file']);
});
