import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const FLAGS = ['--conditions=source', '--expose-gc', '--allow-natives-syntax', '--input-type=module'];

/** Prints what V8 knows about `nextTick` after full collections without a tick. */
const IDLE = `
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const ticks = async () => {
    for (let round = 0; round < 20; round++) {
      process.nextTick(() => {});
      await turn();
    }
  };
  await ticks();
  for (let round = 0; round < 5; round++) {
    globalThis.gc();
    await turn();
  }
  await ticks();
  new Function('%DebugPrint(process.nextTick)')();
`;

test('after full garbage collections V8 still makes the objects of ticks in its fast way', async () => {
  const file = JSON.stringify(join(import.meta.dirname, 'tune-runtime.ts'));
  const script = `const { tuneRuntime } = await import(${file}); tuneRuntime(); ${IDLE}`;

  const { stdout } = await promisify(execFile)(process.execPath, [...FLAGS, '--eval', script]);

  const states = [...stdout.matchAll(/DefineKeyedOwnPropertyInLiteral (\w+)/g)].map(([, state]) => state);
  assert.ok(states.length > 0, 'the literal is shown');
  assert.deepEqual(new Set(states), new Set(['MONOMORPHIC']));
});
