import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { type TestContext, test } from 'node:test';
import { limitCpu } from './cpu-limit.ts';

/** Seconds of CPU time that a process has used at each look; none when it has ended. */
function usedAt(context: TestContext, looks: readonly (number | undefined)[]): { asked: string[] } {
  const asked: string[] = [];
  context.mock.method(fs, 'readFileSync', (file: string) => {
    const used = looks[asked.length];
    asked.push(file);
    if (used === undefined) throw new Error('ENOENT');
    // man 5 proc: the name may hold anything, user and system time are fields 14 and 15.
    const before = '7 (a) b) S 1 7 7 0 -1 4194304 901 902 903 904';
    return `${before} ${used * 40} ${used * 60} 905 906 20 0 1 0 907\n`;
  });
  syncBuiltinESMExports();
  context.after(() => {
    context.mock.restoreAll();
    syncBuiltinESMExports();
  });
  context.mock.timers.enable({ apis: ['setInterval'] });
  return { asked };
}

for (const [what, looks, exceededAt] of [
  ['a process that stays below the limit goes on', [1, 2, 3, 3], undefined],
  ['a process that uses more than the limit is reported once', [1, 2, 3.01, 9], 3],
  ['CPU time before the watch does not count', [11, 12, 13, 14.01], 4],
  ['of the time up to the first look a second counts', [12, 14.01], 2],
  ['an ended process is looked at no more', [undefined, 100], undefined],
] as const) {
  test(what, (context) => {
    const { asked } = usedAt(context, looks);
    let exceeded = 0;
    const onExceeded = (): void => void exceeded++;
    using _limit = limitCpu({ pid: 7, maxSeconds: 3, onExceeded });
    const seen: number[] = [];

    for (const [index] of looks.entries()) {
      context.mock.timers.tick(1_000);
      if (exceeded > seen.length) seen.push(index + 1);
    }

    assert.deepEqual(seen, exceededAt === undefined ? [] : [exceededAt]);
    assert.equal(asked.length, looks[0] === undefined ? 1 : (exceededAt ?? looks.length));
    assert.equal(asked[0], '/proc/7/stat');
  });
}

test('a watch that is disposed looks no more', (context) => {
  const { asked } = usedAt(context, [1, 100]);
  const limit = limitCpu({ pid: 7, maxSeconds: 3, onExceeded: assert.fail });
  context.mock.timers.tick(1_000);

  limit[Symbol.dispose]();
  context.mock.timers.tick(5_000);

  assert.equal(asked.length, 1);
});
