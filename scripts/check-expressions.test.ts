import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkExpressions } from './check-expressions.ts';
import { outcomeOf, temporaryTree } from './temporary-tree.ts';

/** Runs the check on a tree with these files below `src`. */
async function check(files: Readonly<Record<string, string>>) {
  const paths = Object.entries(files).map(([name, text]) => [`src/${name}`, text]);
  using tree = temporaryTree({ 'scripts/expressions/.keep': '', ...Object.fromEntries(paths) });
  const { lines, status } = outcomeOf(await checkExpressions(tree));
  return { status, output: lines.join('\n') };
}

test('expressions of linear time pass', async () => {
  const { status, output } = await check({
    'a.ts': 'export const A = /^a+$/;\nexport const B = RegExp("^" + "x{1,3}$");\n',
  });

  assert.equal(status, 0, output);
  assert.match(output, /^2 in 1 files$/);
});

test('expressions that go back are refused, also those that are put together from constants', async () => {
  const { status, output } = await check({
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

test('expressions that are made at run time are refused', async () => {
  const { status, output } = await check({
    'a.ts': "export const a = (text: string) => new RegExp(text);\nexport const b = 'x'.match('(a+)+');\n",
  });

  assert.equal(status, 1);
  assert.match(output, /src\/a\.ts:1: made at run time/);
  assert.match(output, /src\/a\.ts:2: made at run time/);
});

test('a tree without expressions does not pass', async () => {
  assert.equal((await check({ 'a.ts': 'export {};\n' })).status, 1);
});
