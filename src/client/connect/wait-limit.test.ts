import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { WaitLimit } from './wait-limit.ts';

test('a deadline that has passed ends the wait, without a warning of Node', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  try {
    const limit = new WaitLimit({ signal: undefined, deadline: new Date(Date.now() - 1000) });

    await assert.rejects(
      // The work that the limit ends.
      limit.run((signal) => delay(60_000, undefined, { signal })),
      { code: 'DEADLINE_EXCEEDED' },
    );
    await delay(0); // warnings are emitted in a later turn

    assert.deepEqual(warnings, []);
  } finally {
    process.off('warning', onWarning);
  }
});
