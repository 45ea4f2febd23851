import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { seededShare } from '#testkit/seeded-share';
import { everyRecording, isSoak } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import type { ReportedTest } from '../../cluster/contract/json-lines.ts';
import { runRedirected } from '../../cluster/contract/run-redirected.ts';

/** One of this number of recordings of an area is replayed; in `make test`, the seed chooses the area. */
const EVERY = everyRecording({ short: 30, long: 4 }, testSeed());
const AREAS = ['commit', 'diff', 'operations', 'ref'];
/** Two are the least with a worker, which then serves all connections alone. */
const PROCESSES = [2, 4];
const ALL_FILES = ['test/golden/*.test.ts'];

for (const processes of seededShare(PROCESSES, 1 / 2)) {
  test(`a server of ${processes} processes answers like a single process`, async (context: TestContext) => {
    const files = seededShare(AREAS, 1 / AREAS.length).map((area) => `test/golden/${area}.test.ts`);
    const tests = await runRedirected({
      redirect: `${import.meta.dirname}/redirect.ts`,
      files: isSoak ? ALL_FILES : files,
      env: { ...EVERY, CONTRACT_PROCESSES: String(processes) },
      separately: false,
    });
    const count = (result: ReportedTest['result']): number =>
      tests.filter((each) => each.result === result).length;

    context.diagnostic(`${count('passed')} equal, ${count('failed')} different, ${count('skipped')} skipped`);
    assert.deepEqual(
      tests.filter(({ result }) => result === 'failed'),
      [],
    );
    assert.ok(count('passed') > 20, 'the tests have run');
  });
}
