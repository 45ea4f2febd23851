import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { affectedTests } from './changed-tests.ts';

const SOURCES = new Map(
  Object.entries({
    'src/base/a.ts': '',
    'src/base/a.test.ts': "import { a } from './a.ts';\n",
    'src/git/b.ts': "import { a } from '#base/a';\n",
    'src/git/b.test.ts': "import { b } from './b.ts';\n",
    'src/git/other.test.ts': "import { type A } from 'node:fs';\n",
    'src/wire/c.test.ts': "import { X } from '#wire/gen/x_pb';\n",
    'src/cli/bin/gitaly.ts': "import { main } from '../main.ts';\n",
    'src/cli/main.ts': '',
    'test/up.test.ts': "const program = 'dist/cli/bin/gitaly.js';\n",
    'test/child.test.ts': "fork(join(here, 'child/child.ts'));\n",
    'test/child/child.ts': "await import('#git/b');\n",
    'test/golden/blob.test.ts': '',
    'src/hook/hook.ts': '// see docs/hooks.md\n',
    'src/hook/hook.test.ts': "import { hook } from './hook.ts';\n",
    'test/docs/pages.test.ts': "read('docs/hooks.md');\n",
  }),
);

describe('the tests of a change', () => {
  for (const [name, changed, expected] of [
    ['import it', 'src/git/b.ts', ['src/git/b.test.ts', 'test/child.test.ts']],
    [
      'import it through others',
      'src/base/a.ts',
      ['src/base/a.test.ts', 'src/git/b.test.ts', 'test/child.test.ts'],
    ],
    ['are changed themselves', 'src/git/other.test.ts', ['src/git/other.test.ts']],
    ['import generated code', 'src/wire/gen/x_pb.js', ['src/wire/c.test.ts']],
    ['start a program', 'src/cli/main.ts', ['test/up.test.ts']],
    ['are near a file that is no source', 'test/golden/cases/blob.jsonl', ['test/golden/blob.test.ts']],
    ['name a file that is no source', 'docs/hooks.md', ['test/docs/pages.test.ts']],
    ['are none', 'src/domain/new.ts', []],
  ] as const) {
    test(name, () => {
      assert.deepEqual([...affectedTests(SOURCES, [changed]).keys()].sort(), expected);
    });
  }

  test('have the number of imports between', () => {
    const distances = affectedTests(SOURCES, ['src/base/a.ts']);

    assert.deepEqual(Object.fromEntries(distances), {
      'src/base/a.test.ts': 1,
      'src/git/b.test.ts': 2,
      'test/child.test.ts': 3,
    });
  });

  test('are all, when the packages change', () => {
    const all = [...SOURCES.keys()].filter((file) => file.endsWith('.test.ts'));

    assert.deepEqual([...affectedTests(SOURCES, ['package-lock.json']).keys()], all);
  });
});
