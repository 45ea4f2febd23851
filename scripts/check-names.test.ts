import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNames } from './check-names.ts';
import { outcomeOf, temporaryTree } from './temporary-tree.ts';

/** Runs the check on a tree with these files below `src`. */
function check(files: Readonly<Record<string, string>>) {
  const paths = Object.entries(files).map(([name, text]) => [`src/${name}`, text]);
  using tree = temporaryTree(Object.fromEntries(paths));
  return outcomeOf(checkNames(tree));
}

for (const declaration of [
  'function walk(): void {}',
  'async function* walk() {}',
  'class walk {}',
  'abstract class walk {}',
  'interface walk {}',
  'type walk = 1;',
  'const walk = 1;',
]) {
  test(`a second export of a name is refused: ${declaration}`, () => {
    const { status, lines } = check({
      'git/a.ts': `export ${declaration}\n`,
      'git/refs/b.ts': 'export function walk(): void {}\n',
    });

    assert.equal(status, 1);
    assert.deepEqual(lines, ['git: walk: git/a.ts, git/refs/b.ts']);
  });
}

test('equal names pass in different modules, in one file, in tests and in re-exports', () => {
  const { status, lines } = check({
    'git/a.ts': 'export interface Walk {}\nexport const Walk = 1;\n',
    'git/b.ts': "export { Walk } from './a.ts';\n",
    'git/c.ts': 'interface Walk {}\nfunction f() {\n  // export interface Walk {}\n}\n',
    'git/d.test.ts': 'export interface Walk {}\n',
    'storage/a.ts': 'export interface Walk {}\n',
    'services/ref/a.ts': 'export interface Walk {}\n',
    'services/blob/a.ts': 'export interface Walk {}\n',
  });

  assert.equal(status, 0, lines.join('\n'));
});

test('seeing no export at all is a failure', () => {
  assert.deepEqual(check({}), { status: 1, lines: ['saw no export'] });
});
