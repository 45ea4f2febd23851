import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

/** Runs the check on a tree with these files below `src`. */
function checkExpressions(files: Readonly<Record<string, string>>): {
  status: number | null;
  output: string;
} {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-expressions-'));
  mkdirSync(join(root, 'src'));
  mkdirSync(join(root, 'scripts/expressions'), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, 'src', name), text);
  const script = join(import.meta.dirname, 'check-expressions.ts');
  const run = spawnSync(process.execPath, [script, root], { encoding: 'utf8' });
  rmSync(root, { recursive: true });
  return { status: run.status, output: run.stdout + run.stderr };
}

test('expressions of linear time pass', () => {
  const { status, output } = checkExpressions({
    'a.ts': 'export const A = /^a+$/;\nexport const B = RegExp("^" + "x{1,3}$");\n',
  });

  assert.equal(status, 0, output);
  assert.match(output, /expressions: 2 in 1 files/);
});

test('expressions that go back are refused, also those that are put together from constants', () => {
  const { status, output } = checkExpressions({
    'names.ts': "export const SPACE = '[ ]';\n",
    'a.ts': [
      "import { SPACE } from './names.ts';",
      'export const A = / +$/;',
      "const PARTS = [String.raw`(?:a|a)*`, 'x'] as const;",
      "export const B = new RegExp('^(?:' + PARTS.join('|') + ')*$');",
      "export const C = RegExp(SPACE + '*y', 'g');",
    ].join('\n'),
  });

  assert.equal(status, 1);
  assert.match(output, /src\/a\.ts:2: takes a time that is polynomial/);
  assert.match(output, /src\/a\.ts:4: takes a time that is exponential/);
  assert.match(output, /src\/a\.ts:5: takes a time that is polynomial/);
});

test('expressions that are made at run time are refused', () => {
  const { status, output } = checkExpressions({
    'a.ts': "export const a = (text: string) => new RegExp(text);\nexport const b = 'x'.match('(a+)+');\n",
  });

  assert.equal(status, 1);
  assert.match(output, /src\/a\.ts:1: made at run time/);
  assert.match(output, /src\/a\.ts:2: made at run time/);
});

test('a tree without expressions does not pass', () => {
  assert.equal(checkExpressions({ 'a.ts': 'export {};\n' }).status, 1);
});
