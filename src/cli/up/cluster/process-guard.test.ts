import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { ProcessGuard } from './process-guard.ts';

// Born failing: PostgreSQL that did not end after its SIGINT was left running.
test('a process that ignores its signal is ended after a while', async () => {
  const child = spawn('/bin/sh', ['-c', 'trap "" INT; echo ready; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data'); // the signal is ignored now
  const guard = new ProcessGuard({ patienceSeconds: 1 });
  guard.add(child.pid ?? 0, 'INT');

  await guard[Symbol.asyncDispose]();

  assert.deepEqual(await exited, [null, 'SIGQUIT']);
});
