import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createNodeSpawner } from './node-spawner.ts';
import type { SpawnRequest } from './spawner.ts';

const REQUEST: SpawnRequest = {
  file: '/bin/true',
  argv: ['true'],
  env: {},
  stdin: 'ignore',
  stdout: 'ignore',
  stderr: 'ignore',
  extraPipes: 0,
};

test('bytes that are text are passed on, and others are refused', async () => {
  const { spawn } = createNodeSpawner();

  const { exited } = spawn({ ...REQUEST, argv: ['true', Buffer.from('é')], env: { A: Buffer.from('é') } });
  assert.equal((await exited).code, 0);
  assert.throws(() => spawn({ ...REQUEST, argv: ['true', Buffer.of(0xe9)] }), /argument that is not UTF-8/);
});

// Node drops the data of the streams that it lists when the child exits without a reader.
test('output is kept for a reader that comes after the exit', async () => {
  const request: SpawnRequest = { ...REQUEST, file: '/bin/echo', argv: ['echo', 'late'], stdout: 'pipe' };
  const { exited, stdout } = createNodeSpawner().spawn(request);
  await exited;
  await nextTurn();

  assert.ok(stdout !== undefined);
  assert.equal(await text(stdout), 'late\n');
});

test('streams that were not asked for are undefined', async () => {
  const { stdin, stdout, stderr, extra, exited } = createNodeSpawner().spawn(REQUEST);

  assert.deepEqual([stdin, stdout, stderr, extra], [undefined, undefined, undefined, []]);
  await exited;
});
