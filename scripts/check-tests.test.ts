import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTests } from './check-tests.ts';
import { outcomeOf, temporaryTree } from './temporary-tree.ts';

/** Runs the check on a test file. */
function check(source: string) {
  using tree = temporaryTree({ 'src/x.test.ts': source });
  return outcomeOf(checkTests(tree));
}

for (const body of ['() => {}', 'async () => {}', 'function () {}', '(t) => { /* nothing */ }'])
  test(`a test with ${body} is refused, wherever it is`, () => {
    const { status, lines } = check(`for (const x of [1])\n  test('x', { timeout: x }, ${body});\n`);

    const reason = 'a test without a body: skip it with a reason, or remove it';
    assert.deepEqual([status, ...lines], [1, `src/x.test.ts:2: ${reason}`]);
  });

test('the tests of sources, scripts and whole programs are checked', () => {
  const files = ['src/a/x.test.ts', 'scripts/x.test.ts', 'test/a/x.test.ts'];
  using tree = temporaryTree(Object.fromEntries(files.map((file) => [file, "test('x', () => {});\n"])));

  const { lines } = outcomeOf(checkTests(tree));

  assert.deepEqual(lines.map((line) => line.split(':', 1)[0]).toSorted(), files.toSorted());
});

test('a test that does something, or is skipped, passes', () => {
  const source =
    "test('x', () => f());\ntest('y', () => {\n  f();\n});\ntest('z', { skip });\nf(() => {});\n";

  assert.deepEqual(check(source), { status: 0, lines: ['1 files'] });
});
