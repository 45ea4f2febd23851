// Own process: it measures memory

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { slowly } from '#testkit/faults/slowly';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const MIB = 1024 * 1024;
/** With twelve of these files a diff is larger than what a server may keep. */
const FILE_BYTES = 8 * MIB;

let gitaly: TestGitaly;
let six: ReturnType<typeof largeDiff>;
let twelve: ReturnType<typeof largeDiff>;
before(async () => {
  gitaly = await startGitaly();
  six = largeDiff(6, 3 * MIB);
  twelve = largeDiff(12, FILE_BYTES);
});
after(() => gitaly[Symbol.asyncDispose]());

/** Creates a diff of files. Returns the fields of a request for it. */
function largeDiff(files: number, fileBytes: number) {
  const repository = { storageName: 'default', relativePath: `${files}.git` };
  const directory = initServed(gitaly, repository.relativePath);
  const commit = (branch: string) =>
    Buffer.from(`commit refs/heads/${branch}\ncommitter C <c@example.com> 1 +0000\ndata 0\ndeleteall\n`);
  const content = Buffer.alloc(fileBytes, 'a line of text\n');
  const parts = Array.from({ length: files }, (_, index) => [
    Buffer.from(`M 100644 inline f${index}\ndata ${content.length}\n`),
    content,
  ]);
  const stream = Buffer.concat([commit('left'), commit('right'), ...parts.flat(), Buffer.from('\n')]);
  gitOutput(directory, ['-c', 'core.compression=0', 'fast-import', '--quiet'], stream);
  return { repository, leftCommitId: 'left', rightCommitId: 'right' };
}

/** Waits until no `git diff` runs on the server's storage. */
async function ended(message: string): Promise<void> {
  const isRunning = (): boolean =>
    readdirSync('/proc').some((entry) => /^\d+$/.test(entry) && isDiff(`/proc/${entry}/cmdline`));
  const isDiff = (file: string): boolean => {
    try {
      const words = readFileSync(file, 'latin1').split('\0');
      return (
        words.includes('diff') && words.includes(join(gitaly.storagePath(), six.repository.relativePath))
      );
    } catch {
      return false; // it has just ended
    }
  };
  await until(() => !isRunning(), message);
}

for (const name of ['rawDiff', 'commitDiff'] as const) {
  test(`${name}: the first message comes before git has finished`, async () => {
    const startedAt = performance.now();

    let firstMs = 0;
    for await (const _ of gitaly.connection.diff[name](six)) firstMs ||= performance.now() - startedAt;

    const wholeMs = performance.now() - startedAt;
    assert.ok(firstMs < wholeMs / 2, `${firstMs} of ${wholeMs} ms`);
  });

  test(`${name}: a reader that leaves ends git, and the server goes on`, async () => {
    for (let round = 0; round < 3; round++) for await (const _ of gitaly.connection.diff[name](six)) break;

    const { stats } = (await Array.fromAsync(gitaly.connection.diff.diffStats(six))).at(0) ?? {};
    assert.equal(stats?.length, 6);
    await ended('the diffs were not ended');
  });

  test(`${name}: an abort in the middle ends the call with its code`, async () => {
    const abort = new AbortController();

    const read = async () => {
      for await (const _ of gitaly.connection.diff[name](six, { signal: abort.signal })) abort.abort();
    };

    await assert.rejects(read(), { code: 'CANCELLED' });
    await ended('the diff was not ended');
  });

  test(`${name}: a deadline in the middle ends the call with its code`, async () => {
    const read = async () => {
      for await (const _ of slowly<unknown>(gitaly.connection.diff[name](six, { timeoutMs: 300 }), 50));
    };

    await assert.rejects(read(), { code: 'DEADLINE_EXCEEDED' });
    await ended('the diff was not ended');
  });
}

test('RawDiff: a reader that is slow makes git wait instead of filling memory', async () => {
  const before = process.memoryUsage().rss;

  let [highest, pieces] = [0, 0];
  for await (const _ of slowly(gitaly.connection.diff.rawDiff(twelve), 10)) {
    if (++pieces > 30) break;
    highest = Math.max(highest, process.memoryUsage().rss - before);
  }

  assert.ok(highest < 60 * MIB, `${Math.round(highest / MIB)} MiB`);
});

test('CommitDiff: patches that are too large are not held in memory', async () => {
  const limits = { enforceLimits: true, maxFiles: 100, maxLines: 1e6, maxBytes: 1e9, maxPatchBytes: 500_000 };
  for await (const _ of gitaly.connection.diff.rawDiff(twelve)) break; // everything is loaded
  const before = process.memoryUsage().rss;
  let highest = 0;
  const look = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage().rss - before);
  }, 5);

  const messages = await Array.fromAsync(gitaly.connection.diff.commitDiff({ ...twelve, ...limits }));
  clearInterval(look);

  assert.deepEqual(
    messages.map(({ tooLarge, linesAdded }) => [tooLarge, linesAdded]),
    Array.from({ length: 12 }, () => [true, Math.ceil(FILE_BYTES / 15)]),
  );
  // The patches have 96 MiB.
  assert.ok(highest < 60 * MIB, `${Math.round(highest / MIB)} MiB`);
});
