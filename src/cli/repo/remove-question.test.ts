import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { createRepository, removeRepositories } from './repo.ts';

// Born failing: after Ctrl-D or Ctrl-C the command neither removed nor ended.
test('a question whose terminal is closed is not answered with yes', async (context) => {
  const to = makeScratchDirectory('question');
  context.after(() => rmSync(to, { recursive: true, force: true }));
  const options = { to, storage: 'default' };
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const on = { stdin, stdout, stderr };
  await createRepository('x', { ...options, branch: 'main', objectFormat: 'sha1' }, on);
  let code: number | undefined;

  void removeRepositories(['x'], options, on).then((value) => {
    code = value;
  });
  let shown = '';
  stderr.on('data', (chunk) => {
    shown += String(chunk);
  });
  await until(() => shown.includes('Type "yes"'), 'the question');
  stdin.end();

  await until(() => code !== undefined, 'the end of the command');
  assert.equal(code, 1);
  assert.match(shown, /gitaly-ts repo: nothing was removed/);
  assert.equal(await text(stdout.end()), 'created x.git\n');
  assert.ok(existsSync(join(to, 'repositories/x.git')));
});
