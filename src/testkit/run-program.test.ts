import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from './run-program.ts';

// Symptom: a test failed because of an exit code, and did not tell which program had not ended.
test('a program that does not end in time is named', async () => {
  await assert.rejects(run('sleep', ['60'], { timeoutMs: 1 }), /killed after 1 ms: sleep 60/);
});
