import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { MAILMAP_OPTIONS } from '#services/convert/request/feature-flags';
import { flagCombinations } from '#testkit/flag-combinations';
import { gitOutput, initRepository, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { sumOf } from './exposition.ts';
import { metricsOf } from './scripted-calls.ts';

// The walkthrough of docs/feature-flags.md, and what becomes of the flags of a call.

const repository = { storageName: 'default', relativePath: 'x.git' };
const HISTORY = `commit refs/heads/main
committer Old <old@x> 1600000000 +0000
data 0
M 100644 inline .mailmap
data 24
New <new@x> Old <old@x>

`;
const CHECKS = 'gitaly_feature_flag_checks_total';

async function startWithMailmap() {
  const gitaly = await startGitaly({ config: { prometheus_listen_addr: '127.0.0.1:0' } });
  const path = initServed(gitaly, repository.relativePath);
  gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], HISTORY);
  const request = { repository, revision: Buffer.from('main') };
  return Object.assign(gitaly, {
    path,
    findAuthor: async (options = {}) => {
      const { commit } = await gitaly.connection.commit.findCommit(request, options);
      return Buffer.from(commit?.author?.name ?? []).toString();
    },
    checks: async (enabled: boolean) =>
      sumOf(await metricsOf(gitaly), CHECKS, { flag: MAILMAP_OPTIONS.name, enabled: String(enabled) }),
  });
}

for (const flags of flagCombinations(MAILMAP_OPTIONS)) {
  test(`FindCommit takes the path of the flag and counts it: ${flags.name}`, async () => {
    await using gitaly = await startWithMailmap();
    const isOn = flags.isEnabled(MAILMAP_OPTIONS);

    const author = await gitaly.findAuthor(flags.options);

    const format = isOn ? '%aN' : '%an';
    assert.equal(author, gitOutput(gitaly.path, ['log', '-1', `--format=${format}`, 'main']));
    assert.deepEqual([(await gitaly.checks(isOn)) > 0, await gitaly.checks(!isOn)], [true, 0]);
    await until(() => gitaly.log.some((line) => line['grpc.method'] === 'FindCommit'));
    const line = gitaly.log.find((entry) => entry['grpc.method'] === 'FindCommit');
    assert.equal(line?.feature_flags, isOn ? 'mailmap_options' : undefined);
  });
}

test('a call without the header has the default, and is not counted', async () => {
  await using gitaly = await startWithMailmap();

  assert.equal(await gitaly.findAuthor(), gitOutput(gitaly.path, ['log', '-1', '--format=%aN', 'main']));

  assert.deepEqual([await gitaly.checks(true), await gitaly.checks(false)], [0, 0]);
});

test('a call that must send its flags fails if it checks another', async () => {
  await using gitaly = await startWithMailmap();

  await assert.rejects(gitaly.findAuthor(flagCombinations()[0]?.options), {
    message: /feature flag "mailmap_options" is not set by the request/,
  });
});

test('calls to another server carry the flags of the original call, known or not', async () => {
  await using here = await startGitaly();
  await using there = await startGitaly({ storages: ['far'], token: 'secret' });
  const source = { storageName: 'far', relativePath: 'source.git' };
  initRepository(join(there.storagePath('far'), source.relativePath), { commits: 1 });
  const servers = { far: { address: there.address, token: 'secret' } };
  const metadata = { 'gitaly-servers': Buffer.from(JSON.stringify(servers)).toString('base64') };

  await here.connection.repository.replicateRepository(
    { repository, source },
    { metadata, featureFlags: { some_flag: true, bundle_uri: true, off_flag: false } },
  );

  const methods = ['SSHUploadPackWithSidechannel', 'GetCustomHooks'];
  const lineOf = (method: string) => there.log.find((line) => line['grpc.method'] === method);
  await until(() => methods.every((method) => lineOf(method) !== undefined));
  for (const method of methods) assert.equal(lineOf(method)?.feature_flags, 'bundle_uri some_flag', method);
});
