import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

/** Runs the check on a tree with one test file and one other. */
function checkWaits(text: string, source = 'await delay(5);\n'): readonly string[] {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-waits-'));
  mkdirSync(join(root, 'src'));
  writeFileSync(join(root, 'src/a.test.ts'), text);
  writeFileSync(join(root, 'src/a.ts'), source);
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, 'check-waits.ts'), root],
    { encoding: 'utf8' },
  );
  rmSync(root, { recursive: true });
  return (stdout + stderr).trim().split('\n');
}

test('a wait by number needs a comment in its line or above it', () => {
  const lines = checkWaits(
    [
      'await delay(5);',
      'await sleep(2 * STEP_MS); // the reader is slow',
      '// The other side is not ready.',
      'setTimeout(() => end(), 20);',
      'await new Promise((resolve) => setTimeout(resolve, 1_000));',
      'await delay(STEP_MS);',
      "const program = 'setTimeout(() => {}, 10)';",
    ].join('\n'),
  );

  const reason = 'wait for a condition, or give the reason in a comment';
  assert.deepEqual(lines, [`src/a.test.ts:1: ${reason}`, `src/a.test.ts:5: ${reason}`]);
});

test('more waits than the limit are refused, whatever their reasons', () => {
  const wait = 'await delay(5); // a reason\n';

  const [complaint = ''] = checkWaits(wait.repeat(200));
  const limit = Number(/^200 waits by number; the limit is (\d+)$/.exec(complaint)?.[1]);
  assert.ok(limit < 200, complaint);
  assert.deepEqual(checkWaits(wait.repeat(limit)), [`waits: ${limit} in 1 files`]);
});

test('the delay of a timer that may be negative is refused in the source', () => {
  const source = [
    'const leftMs = untilMs - performance.now();',
    'await delay(performance.now() - startedAtMs);',
    'const usedMs = performance.now() - startedAtMs;',
    'await delay(timeLeftMs(untilMs));',
  ].join('\n');

  const what = 'use timeLeftMs of #base/async/time-left';
  assert.deepEqual(checkWaits('', source), [`src/a.ts:1: ${what}`, `src/a.ts:2: ${what}`]);
});
