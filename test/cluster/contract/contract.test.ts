import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { seededShare } from '#testkit/seeded-share';
import { everyRecording, isSoak } from '#testkit/soak';
import { startPostgres, withoutOwnPostgres } from '#testkit/start-postgres';
import { testSeed } from '#testkit/test-seed';
import { makeTemplate } from './contract-database.ts';
import { Differences } from './differences.ts';
import type { ReportedTest } from './json-lines.ts';
import { runRedirected } from './run-redirected.ts';

const seed = testSeed();
/** One of this number of recordings is replayed. */
const EVERY = everyRecording({ short: 40, long: 3 }, seed);
const FILES = ['test/golden/{commit-files,objectpool,ref,repository,smarthttp}.test.ts'];
/** Share of the tests of services that the soak runs. */
const SERVICES_SHARE = { short: 0, long: 1 / 3 };
/** The seed chooses one of these for the cluster with a database. */
const AREAS = [
  { files: ['test/golden/operations.test.ts'], env: { GOLDEN_EVERY: '60' } },
  { files: ['test/golden/ref.test.ts'], env: { GOLDEN_EVERY: '30' } },
  { files: ['test/golden/repository.test.ts'], env: { GOLDEN_EVERY: '30' } },
];
// The differences of the other files and recordings are not listed yet.
const WITH_DATABASE = isSoak
  ? [
      {
        files: ['test/golden/{commit,operations,ref,repository}.test.ts'],
        env: { GOLDEN_EVERY: '4' },
      },
    ]
  : seededShare(AREAS, 1 / AREAS.length);
const WITH_WORKERS = seededShare(AREAS, 1 / AREAS.length);

/** Returns all recordings, and services' tests that the seed chooses. */
function soakFiles(): string[] {
  const services = globSync('src/services/**/*.test.ts').sort();
  return ['test/golden/*.test.ts', ...seededShare(services, SERVICES_SHARE, seed)];
}

test('a cluster answers like a single server, except for the documented differences', async (context) => {
  await checkContract(context, {
    files: isSoak ? soakFiles() : FILES,
    env: EVERY,
    differences: new Differences(),
  });
});

test('so does a cluster with a database, whose nodes make all copies', {
  skip: withoutOwnPostgres,
}, async (context) => {
  await using postgres = await startPostgres({ isMigrated: false });
  const { host, user } = postgres.config;
  await makeTemplate(postgres);
  for (const share of WITH_DATABASE) {
    await checkContract(context, {
      files: share.files,
      env: { ...share.env, CONTRACT_DATABASE: `${host} ${user}` },
      differences: new Differences({ hasDatabase: true }),
    });
  }
});

test('so does a cluster whose Praefect has three processes', {
  skip: withoutOwnPostgres,
}, async (context) => {
  await using postgres = await startPostgres({ isMigrated: false });
  const { host, user } = postgres.config;
  await makeTemplate(postgres);
  for (const { env, files } of WITH_WORKERS) {
    await checkContract(context, {
      files,
      env: { ...env, CONTRACT_DATABASE: `${host} ${user}`, CONTRACT_WORKERS: '1' },
      differences: new Differences({ hasDatabase: true }),
    });
  }
});

interface Contract {
  readonly files: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly differences: Differences;
}

async function checkContract(context: TestContext, { differences, env, files }: Contract): Promise<void> {
  const redirect = `${import.meta.dirname}/redirect.ts`;
  const tests = await runRedirected({ redirect, files, env, separately: isSoak });
  const count = (result: ReportedTest['result']): number =>
    tests.filter((each) => each.result === result).length;

  context.diagnostic(`${count('passed')} equal, ${count('failed')} different, ${count('skipped')} skipped`);
  assert.deepEqual(differences.unexpected(tests), []);
  assert.ok(count('passed') > 10, 'the tests have run');
}
