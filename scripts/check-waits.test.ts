import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkWaits } from './check-waits.ts';
import { outcomeOf, temporaryTree } from './temporary-tree.ts';

/** Runs the check on a tree with one test file and one other. */
function check(text: string, source = 'await delay(5);\n'): readonly string[] {
  using tree = temporaryTree({ 'src/a.test.ts': text, 'src/a.ts': source });
  return outcomeOf(checkWaits(tree)).lines;
}

test('a wait by number needs a comment in its line or above it', () => {
  const lines = check(
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

  const [complaint = ''] = check(wait.repeat(200));
  const limit = Number(/^200 waits by number; the limit is (\d+)$/.exec(complaint)?.[1]);
  assert.ok(limit < 200, complaint);
  assert.deepEqual(check(wait.repeat(limit)), [`${limit} in 1 files`]);
});

test('the delay of a timer that may be negative is refused in the source', () => {
  const source = [
    'const leftMs = untilMs - performance.now();',
    'await delay(performance.now() - startedAtMs);',
    'const usedMs = performance.now() - startedAtMs;',
    'await delay(timeLeftMs(untilMs));',
  ].join('\n');

  const what = 'use timeLeftMs of #base/async/time-left';
  assert.deepEqual(check('', source), [`src/a.ts:1: ${what}`, `src/a.ts:2: ${what}`]);
  assert.deepEqual(check('const leftMs = untilMs - performance.now();\n', ''), ['0 in 1 files'], 'in a test');
});
