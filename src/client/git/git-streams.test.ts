import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { hearErrors } from './git-streams.ts';

test('errors of a command are heard until its end', async () => {
  const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const streams = Object.values(io);
  const closed = streams.map((stream) => new Promise((resolve) => stream.once('close', resolve)));

  const hearing = hearErrors(io);
  for (const stream of streams) stream.destroy(new Error('terminal gone')); // would end this process
  await Promise.all(closed);
  hearing[Symbol.dispose]();

  for (const stream of streams) assert.equal(stream.listenerCount('error'), 0);
  using _ = hearErrors({ ...io, stdin: (async function* () {})() }); // it has no events
});
