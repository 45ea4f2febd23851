import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { after, before, suite, type TestContext, test } from 'node:test';
import { seededShare } from '#testkit/seeded-share';
import { startPostgres, type TestDatabase, withoutOwnPostgres } from '#testkit/servers/start-postgres';
import { everyRecording, isSoak } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { makeTemplate } from './contract-database.ts';
import { Differences } from './differences.ts';
import type { ReportedTest } from './json-lines.ts';
import { runRedirected } from './run-redirected.ts';

const seed = testSeed();
/** One of this number of recordings is replayed. */
const EVERY = everyRecording({ short: 80, long: 3 }, seed);
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
/** `make test` tries one of these, which the seed chooses. */
const CLUSTERS = [
  ['so does a cluster whose nodes make all copies', WITH_DATABASE, {}],
  ['so does a cluster whose Praefect has three processes', WITH_WORKERS, { CONTRACT_WORKERS: '1' }],
] as const;

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

suite('with a database', { skip: withoutOwnPostgres }, () => {
  let postgres: TestDatabase;
  before(async () => {
    postgres = await startPostgres({ isMigrated: false });
    await makeTemplate(postgres);
  });
  after(() => postgres[Symbol.asyncDispose]());

  for (const [name, shares, workers] of seededShare(CLUSTERS, 1 / CLUSTERS.length))
    test(name, async (context) => {
      const { host, user } = postgres.config;
      for (const { env, files } of shares)
        await checkContract(context, {
          files,
          env: { ...env, ...workers, CONTRACT_DATABASE: `${host} ${user}` },
          differences: new Differences({ hasDatabase: true }),
        });
    });
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
