import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { isSoak } from '#testkit/soak';
import { Differences } from './differences.ts';
import type { ReportedTest } from './json-reporter.ts';

/** One of so many recordings is replayed in `make test`, of some areas. */
const EVERY = 40;
const FILES = ['test/golden/{commit-files,objectpool,ref,repository,smarthttp}.test.ts'];
const ALL_FILES = ['test/golden/*.test.ts', 'src/services/**/*.test.ts'];

test('a cluster answers like a single server, except for the documented differences', async (context) => {
  const tests = await runThroughCluster(isSoak ? ALL_FILES : FILES, isSoak ? 1 : EVERY);
  const count = (result: ReportedTest['result']): number =>
    tests.filter((each) => each.result === result).length;

  context.diagnostic(`${count('passed')} equal, ${count('failed')} different, ${count('skipped')} skipped`);
  assert.deepEqual(new Differences().unexpected(tests), []);
  assert.ok(count('passed') > 40, 'the tests have run');
});

/** Runs tests of a single server with a cluster. @param every replays every n-th recording */
async function runThroughCluster(files: readonly string[], every: number): Promise<ReportedTest[]> {
  const folder = import.meta.dirname;
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(
    process.execPath,
    [
      '--conditions=source',
      `--import=${folder}/redirect.ts`,
      '--test',
      '--test-concurrency=2',
      '--test-timeout=300000',
      `--test-reporter=${folder}/json-reporter.ts`,
      ...files,
    ],
    { env: { ...env, GOLDEN_EVERY: String(every) }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'close');
  const tests: ReportedTest[] = [];
  // The reporter writes JSON objects, one per line.
  for await (const line of createInterface({ input: child.stdout }))
    tests.push(JSON.parse(line) as ReportedTest);
  await exited;
  return tests;
}
