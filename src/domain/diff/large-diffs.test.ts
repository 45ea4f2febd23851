import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { InProcess } from '#git/command/in-process';
import { patchCommand, WITH_PREFIXES } from '#git/diff/commands';
import { patchOutput } from '#git/diff/patch-output';
import { OID_DIGITS } from '#git/names/object-id';
import type { StreamCache } from '#storage/cache/streams/stream-cache';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { needsGit } from '#testkit/repositories/needs-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { arrangeStreamCache } from '#testkit/values/stream-cache';
import { LARGE_DIFFS, sharedDiffs } from './large-diffs.ts';

const root = makeScratchDirectory('large-diffs');
after(() => rm(root, { recursive: true }));

// Without attributes from a tree every comparison starts git.
const skip = needsGit('attrTree');

/** More than what git can write before somebody reads. */
const LARGE_BYTES = 6 << 20;
const hexLength = OID_DIGITS.sha1;

/** Creates a repository whose branches differ by this number of bytes, and a cache. */
async function arrange(context: TestContext, name: string, bytes: number) {
  const pids: number[] = [];
  const observer = ({ subcommand, pid }: { subcommand: string; pid: number }): undefined => {
    if (subcommand === 'diff-tree') pids.push(pid);
  };
  const git = await GitFixture.start({ observer, inProcess: new InProcess() });
  context.after(() => git.close());
  const path = join(root, name);
  initRepository(path);
  const text = Buffer.alloc(bytes, 'a line of text\n').toString();
  const branch = (branchName: string): string =>
    `commit refs/heads/${branchName}\ncommitter C <c@x> 1600000000 +0000\ndata 0\n\ndeleteall\n`;
  const file = `M 100644 inline file\ndata ${text.length}\n${text}\n`;
  const settings = ['-c', 'core.compression=0'];
  const stream = `${branch('main')}${branch('side')}${file}done\n`;
  gitOutput(path, [...settings, 'fast-import', '--quiet', '--done'], stream);
  const { cache, errors, files } = arrangeStreamCache(context, LARGE_DIFFS);
  const repository = git.open(path);
  repository.diffOutputs.large = sharedDiffs(cache as unknown as StreamCache<boolean>);
  const sides = { left: 'main', right: 'side' };
  const { signal } = new AbortController();
  const expected = await repository.run(patchCommand(sides, { hexLength }), {
    config: WITH_PREFIXES,
    maxOutputBytes: 1 << 28,
  });
  const read = (until = signal): AsyncGenerator<Buffer> =>
    patchOutput(repository, { sides, hexLength }, { signal: until, config: async () => WITH_PREFIXES });
  const whole = async (): Promise<Buffer> => Buffer.concat(await Array.fromAsync(read()));
  /** Ends the git that waits for the next comparison. */
  const endGit = async (): Promise<void> => {
    for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    await until(() => !pids.some(isAlive), 'git did not end');
    pids.length = 0;
  };
  return { cache, endGit, errors, expected, files, pids, read, whole };
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}/exe`);

test('a large diff is kept in a file when it is asked for again', { skip }, async (context) => {
  const { endGit, errors, expected, files, pids, whole } = await arrange(context, 'kept', LARGE_BYTES);
  assert.ok(expected.length > LARGE_BYTES);

  assert.ok((await whole()).equals(expected));
  assert.deepEqual([pids.length, files().length], [1, 0]);
  assert.ok((await whole()).equals(expected));
  assert.deepEqual([pids.length, files().length], [1, 1]);

  await endGit();
  assert.ok((await whole()).equals(expected));
  assert.deepEqual([pids, errors], [[], []], 'no git was asked');
});

test('a small diff is kept in memory alone', { skip }, async (context) => {
  const { cache, expected, files, whole } = await arrange(context, 'small', 1000);

  for (let round = 0; round < 3; round++) assert.ok((await whole()).equals(expected));
  assert.deepEqual([cache.size, files()], [0, []]);
});

test('readers at the same time share one git', { skip }, async (context) => {
  const { expected, pids, whole } = await arrange(context, 'shared', LARGE_BYTES);

  const outputs = await Promise.all(Array.from({ length: 8 }, whole));

  assert.ok(outputs.every((output) => output.equals(expected)));
  assert.equal(pids.length, 1);
});

test('git ends with the last reader, and what it wrote is removed', { skip }, async (context) => {
  const { cache, expected, files, pids, read, whole } = await arrange(context, 'left', LARGE_BYTES);

  for (let round = 0; round < 3; round++)
    for await (const piece of read()) {
      assert.ok(piece.equals(expected.subarray(0, piece.length)));
      break;
    }

  await until(() => !pids.some(isAlive), 'git did not end');
  await until(() => files().length === 0 && cache.size === 0, 'a file was left');
  assert.ok((await whole()).equals(expected));
});

test('a reader that is aborted does not end the git of another one', { skip }, async (context) => {
  const { expected, pids, read } = await arrange(context, 'aborted', LARGE_BYTES);
  const abort = new AbortController();
  const first = read(abort.signal);
  await first.next();
  const second = read();
  const { value: begin } = await second.next();

  abort.abort(new Error('the first one has left'));
  await assert.rejects(Array.fromAsync(first), /the first one has left/);

  assert.ok(Buffer.concat([begin ?? Buffer.alloc(0), ...(await Array.fromAsync(second))]).equals(expected));
  assert.equal(pids.length, 1);
});

test('a git that dies fails its readers, and the next one asks again', { skip }, async (context) => {
  const { endGit, expected, read, whole } = await arrange(context, 'died', LARGE_BYTES);
  const reader = read();
  await reader.next();

  await endGit();
  await assert.rejects(Array.fromAsync(reader), /signal: killed/);

  assert.ok((await whole()).equals(expected));
});
