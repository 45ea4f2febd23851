// Own process: it measures how long calls wait for those of a hostile repository.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSeconds } from '#testkit/measure/process-usage';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import type { LongestBlock } from './loop-blocks/delay-monitor.ts';
import { addBranch, createRepository } from './loop-blocks/fast-import.ts';

/** The part of a file that linguist's rules read. */
const LOOKED_AT_BYTES = 16 << 10;
const HOSTILE_FILES = 200;
const HOSTILE_CALLS = 12;
/**
 * Calls of the hostile repository of which the server does the work during one for the other. With
 * turns it is up to two, once four while rules were compiled; without them one of few calls waits
 * for more than seven.
 */
const MAX_CALLS_AHEAD = 6;
/** CPU time between two iterations of the event loop. */
const MAX_BLOCK_MS = 50;

/** Contents on which rules of linguist were slow, by extension. */
const SHAPES: Readonly<Record<string, string>> = {
  al: '\n\n',
  app: '{application,a,[]',
  b: '\n\t',
  bas: '\n',
  cairo: '%builtins a ',
  fpp: '\n',
  js: '// a ',
  srv: '\n',
  '1': '.TH a ',
};

suite('CommitLanguages of a repository with hostile files', () => {
  let gitaly: GitalyProcess;
  before(async () => {
    gitaly = await startGitalyProcess({
      preload: join(import.meta.dirname, 'loop-blocks/delay-monitor.ts'),
    });
  });
  after(() => gitaly[Symbol.asyncDispose]());

  // Each call of the hostile repository delayed the others by half a second, or five; a `.app` took
  // minutes.
  test('does not hold up calls for other repositories', async (t) => {
    const path = (name: string): string => join(gitaly.directory, 'default', name);
    const names = Object.keys(SHAPES);
    const files = Array.from({ length: HOSTILE_FILES }, (_, index) => {
      const extension = names[index % names.length] ?? '';
      const content = `${index}\n`.padEnd(LOOKED_AT_BYTES, SHAPES[extension]);
      return [`file-${index}.${extension}`, content] as const;
    });
    createRepository(path('hostile.git'), [{ name: 'main', files: Object.fromEntries(files) }]);
    const [hostile, other] = ['hostile.git', 'other.git'].map((relativePath) => ({
      storageName: 'default',
      relativePath,
    }));
    createRepository(path('other.git'), [{ name: 'main', files: { 'a.rb': 'puts 1' } }]);
    await using connection = await gitaly.connect();
    const languages = async (repository: typeof other, revision: string) =>
      (await connection.commit.commitLanguages({ repository, revision: Buffer.from(revision) })).languages;
    assert.deepEqual(
      (await languages(other, 'main')).map(({ name }) => name),
      ['Ruby'],
    );
    await gitaly.ask({});

    const beforeAll = cpuSeconds(gitaly.pid);
    let isOver = false;
    const all = Array.from({ length: HOSTILE_CALLS }, () => languages(hostile, 'main'));
    const running = Promise.all(all).finally(() => {
      isOver = true;
    });
    let slowestMs = 0;
    let count = 0;
    while (!isOver) {
      // A commit that was not counted before.
      const oid = addBranch(path('other.git'), {
        name: `b${count++}`,
        from: 'main',
        files: { 'b.go': `${count}` },
      });
      const before = cpuSeconds(gitaly.pid);
      const [found] = await Promise.all([
        languages(other, oid),
        connection.commit.findCommit({ repository: other, revision: Buffer.from(oid) }),
      ]);
      slowestMs = Math.max(slowestMs, (cpuSeconds(gitaly.pid) - before) * 1000);
      assert.deepEqual(found.map(({ name }) => name).sort(), ['Go', 'Ruby']);
      await delay(20); // the rate of the calls
    }

    const perCallMs = ((cpuSeconds(gitaly.pid) - beforeAll) * 1000) / HOSTILE_CALLS;
    // Sent by delay-monitor.ts.
    const { cpuMs } = (await gitaly.ask({})) as LongestBlock;
    const hostileLanguages = await running;
    t.diagnostic(
      `${count} calls, the slowest ${Math.round(slowestMs)} ms, a hostile one ${Math.round(perCallMs)} ms; ` +
        `a block of ${cpuMs.toFixed(1)} ms of CPU time`,
    );
    for (const each of hostileLanguages) assert.deepEqual(each, hostileLanguages[0]);
    assert.ok((hostileLanguages[0]?.length ?? 0) > 2);
    assert.ok(count > 1 && slowestMs < MAX_CALLS_AHEAD * perCallMs, `${slowestMs} ms`);
    assert.ok(cpuMs > 0 && cpuMs < MAX_BLOCK_MS, `${cpuMs} ms`);
  });
});
