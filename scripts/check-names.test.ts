import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

/** Runs the check on a tree with these files below `src`. */
function checkNames(files: Readonly<Record<string, string>>): { status: number | null; lines: string[] } {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-names-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, 'src', name)), { recursive: true });
    writeFileSync(join(root, 'src', name), text);
  }
  const run = spawnSync(process.execPath, [join(import.meta.dirname, 'check-names.ts'), root], {
    encoding: 'utf8',
  });
  rmSync(root, { recursive: true });
  return { status: run.status, lines: (run.stdout + run.stderr).trim().split('\n') };
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
    const { status, lines } = checkNames({
      'git/a.ts': `export ${declaration}\n`,
      'git/refs/b.ts': 'export function walk(): void {}\n',
    });

    assert.equal(status, 1);
    assert.deepEqual(lines, ['git: walk: git/a.ts, git/refs/b.ts']);
  });
}

test('equal names pass in different modules, in one file, in tests and in re-exports', () => {
  const { status, lines } = checkNames({
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
  assert.deepEqual(checkNames({}), { status: 1, lines: ['saw no export'] });
});
