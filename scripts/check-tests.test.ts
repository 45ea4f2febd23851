import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

/** Runs the check on a test file. */
function checkTests(source: string): { status: number | null; output: string } {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-tests-'));
  mkdirSync(join(root, 'src'));
  writeFileSync(join(root, 'src/x.test.ts'), source);
  const args = [join(import.meta.dirname, 'check-tests.ts'), root];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  rmSync(root, { recursive: true });
  return { status, output: (stdout + stderr).trim() };
}

for (const body of ['() => {}', 'async () => {}', 'function () {}', '(t) => { /* nothing */ }'])
  test(`a test with ${body} is refused, wherever it is`, () => {
    const { status, output } = checkTests(`for (const x of [1])\n  test('x', { timeout: x }, ${body});\n`);

    const reason = 'a test without a body: skip it with a reason, or remove it';
    assert.deepEqual([status, output], [1, `src/x.test.ts:2: ${reason}`]);
  });

test('a test that does something, or is skipped, passes', () => {
  const source =
    "test('x', () => f());\ntest('y', () => {\n  f();\n});\ntest('z', { skip });\nf(() => {});\n";

  assert.deepEqual(checkTests(source), { status: 0, output: 'tests: 1 files' });
});
