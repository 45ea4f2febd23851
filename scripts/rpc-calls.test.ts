import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { callingTests } from './rpc-calls.ts';

const METHODS = ['RefExists', 'FindCommit', 'FindCommits'].map((name) => ({
  path: `/gitaly.SomeService/${name}`,
  localName: `${name.charAt(0).toLowerCase()}${name.slice(1)}`,
}));

function callsIn(files: Readonly<Record<string, string>>): Record<string, string[]> {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-calls-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  try {
    return Object.fromEntries(
      [...callingTests(root, METHODS, ['test/**/*.ts'])].map(([path, tests]) => [path.slice(20), tests]),
    );
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('a call, a method of a table and a path count; a name in a comment or a text does not', () => {
  assert.deepEqual(
    callsIn({
      'test/a.test.ts': "// findCommits\ntest('findCommits', () => gitaly.connection.commit.findCommit({}));",
      'test/b.test.ts': 'call(SomeService.method.refExists);',
      'test/c.test.ts': "call('/gitaly.SomeService/RefExists');",
      'test/d.test.ts': 'x.findCommitsOfOthers(); findCommits(1);',
    }),
    {
      RefExists: ['test/b.test.ts', 'test/c.test.ts'],
      FindCommit: ['test/a.test.ts'],
      FindCommits: [],
    },
  );
});

test('a test makes the calls of the helpers that it imports', () => {
  assert.deepEqual(
    callsIn({
      'test/a.test.ts': "import { x } from './a/helper.ts';",
      'test/a/helper.ts': "import { y } from './other.ts';\nimport z from 'z';",
      'test/a/other.ts':
        'export async function y() {\n  for await (const commit of client.findCommits({})) z(commit);\n}',
    }).FindCommits,
    ['test/a.test.ts'],
  );
});
