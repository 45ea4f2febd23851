import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runTop } from './run-top.ts';

test('a program that is interrupted before the first response ends without an error', async () => {
  const signal = AbortSignal.abort();
  const written: string[] = [];
  const output = { write: (text: string) => written.push(text), isTTY: true };
  const target = 'http://127.0.0.1:1';

  const code = await runTop({
    ...{ target, once: false, json: false, intervalMs: 1000, signal },
    ...{ stdout: output, stderr: output },
  });

  assert.equal(code, 0);
  assert.deepEqual(written, []);
});
