import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { seededShare } from '#testkit/seeded-share';
import { everyRecording, isSoak } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import type { ReportedTest } from '../../cluster/contract/json-reporter.ts';

/** One of this number of recordings of an area is replayed; in `make test`, the seed chooses the area. */
const EVERY = everyRecording({ short: 30, long: 4 }, testSeed());
const AREAS = ['commit', 'diff', 'operations', 'ref'];
const ALL_FILES = ['test/golden/*.test.ts'];

test('a server with three workers answers like a server of one process', async (context: TestContext) => {
  const files = seededShare(AREAS, 1 / AREAS.length).map((area) => `test/golden/${area}.test.ts`);
  const tests = await runWithWorkers(isSoak ? ALL_FILES : files);
  const count = (result: ReportedTest['result']): number =>
    tests.filter((each) => each.result === result).length;

  context.diagnostic(`${count('passed')} equal, ${count('failed')} different, ${count('skipped')} skipped`);
  assert.deepEqual(
    tests.filter(({ result }) => result === 'failed'),
    [],
  );
  assert.ok(count('passed') > 20, 'the tests have run');
});

/** Runs tests of a single server with a server that has workers. */
async function runWithWorkers(files: readonly string[]): Promise<ReportedTest[]> {
  const reporter = join(import.meta.dirname, '../../cluster/contract/json-reporter.ts');
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(
    process.execPath,
    [
      '--conditions=source',
      `--import=${import.meta.dirname}/redirect.ts`,
      '--test',
      '--test-isolation=none',
      '--test-timeout=300000',
      `--test-reporter=${reporter}`,
      ...files,
    ],
    { env: { ...env, ...EVERY }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'close');
  const tests: ReportedTest[] = [];
  // The reporter writes JSON objects, one per line; workers write their logs between them.
  for await (const line of createInterface({ input: child.stdout }))
    if (line.includes('"result":')) tests.push(JSON.parse(line) as ReportedTest);
  await exited;
  return tests;
}
