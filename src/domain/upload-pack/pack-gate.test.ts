import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';

const HOOK = join(import.meta.dirname, '../../hook/pack-objects.sh');
/** More than a pipe holds. */
const WANTS = Buffer.alloc(1 << 20, `${'1'.repeat(40)}\n`);

// upload-pack died of SIGPIPE if the refusal came before it had written all of its wants.
test('a refused pack-objects reads what upload-pack writes before it prints why', async () => {
  const hook = spawn(HOOK, ['git', 'pack-objects'], { stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'] });
  const [, , , requests, answers] = hook.stdio as unknown as Duplex[]; // pipes, as `stdio` requests
  assert.ok(requests !== undefined && answers !== undefined);
  const stderr = text(hook.stderr);
  const exit = once(hook, 'exit');
  await once(requests, 'data');
  answers.write('N\n');

  await pipeline([WANTS], hook.stdin);

  assert.deepEqual(await exit, [1, null]);
  assert.equal(await stderr, 'error executing git hook\nerror resource exhausted, please try again later\n');
});
