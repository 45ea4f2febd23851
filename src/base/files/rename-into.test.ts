import assert from 'node:assert/strict';
import { existsSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { renameInto } from './rename-into.ts';

/**
 * Removes a directory if it is empty, every 0.2 ms: often enough to hit the moment between creating
 * it and the rename some times, and not ten times in a row.
 */
const REMOVER = `
  const { rmdirSync } = require('node:fs');
  const { workerData, parentPort } = require('node:worker_threads');
  const wait = () => { for (const end = performance.now() + 0.2; performance.now() < end; ); };
  parentPort.postMessage('ready');
  for (;;) { try { rmdirSync(workerData); } catch {} wait(); }`;

function makeDirectory(context: TestContext): string {
  const directory = makeScratchDirectory('rename');
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('a file gets into a directory that others remove while it is empty', async (context) => {
  const scratch = makeDirectory(context);
  const [from, to] = [join(scratch, 'tmp'), join(scratch, 'ab/cd')];
  const worker = new Worker(REMOVER, { eval: true, workerData: join(scratch, 'ab') });
  try {
    await new Promise((resolve) => worker.once('message', resolve));
    for (let count = 0; count < 500; count++) {
      writeFileSync(from, '');
      renameInto(from, to);
      assert.ok(existsSync(to));
      unlinkSync(to);
    }
  } finally {
    await worker.terminate();
  }
});

test('a missing file, or a missing parent of the directory, is an error', (context) => {
  const scratch = makeDirectory(context);
  const missing = join(scratch, 'tmp');
  assert.throws(() => renameInto(missing, join(scratch, 'ab/cd')), { code: 'ENOENT' });

  writeFileSync(missing, '');
  assert.throws(() => renameInto(missing, join(scratch, 'gone/ab/cd')), { code: 'ENOENT' });
  assert.ok(!existsSync(join(scratch, 'gone')));
});
