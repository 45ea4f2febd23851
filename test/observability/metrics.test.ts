import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { until } from '#testkit/until';
import { familiesOf, recordedFamilies, sumOf } from './exposition.ts';
import { fetchShallow, makeCalls, metricsOf, startObserved } from './scripted-calls.ts';

const RECORDED = recordedFamilies(
  readFileSync(new URL('../../src/platform/metrics/fixtures/families.tsv', import.meta.url), 'utf8'),
);

const HELP = readFileSync(new URL('../../src/platform/metrics/fixtures/help.tsv', import.meta.url), 'utf8');

/** Families of Gitaly 19.0 that this server does not have, by the reason. One that appears is compared. */
const MISSING: Readonly<Record<string, readonly string[]>> = {
  'the cache of packs is not enabled': ['gitaly_pack_objects_cache_enabled'],
};

/** Families whose value is above 0 after the scripted calls. */
const COUNTED = [
  'gitaly_authentications_total',
  'gitaly_backchannel_yamux_read_size_bytes_sum',
  'gitaly_backchannel_yamux_write_size_bytes_sum',
  'gitaly_cacheinvalidator_optype_total',
  'gitaly_cacheinvalidator_rpc_total',
  'gitaly_catfile_cache_members',
  'gitaly_catfile_cache_total',
  'gitaly_catfile_lookups_total',
  'gitaly_catfile_processes',
  'gitaly_catfile_processes_total',
  'gitaly_command_cpu_seconds_total',
  'gitaly_command_minor_page_faults_total',
  'gitaly_command_real_seconds_total',
  'gitaly_connections_total',
  'gitaly_diskcache_bytes_fetched_total',
  'gitaly_diskcache_bytes_stored_total',
  'gitaly_git_protocol_requests_total',
  'gitaly_list_commits_by_oid_request_size_sum',
  'gitaly_service_client_requests_total',
  'gitaly_smarthttp_packfile_negotiation_deepen_sum',
  'gitaly_spawn_forking_time_seconds_sum',
  'gitaly_spawn_waiting_time_seconds_sum',
  'gitlab_build_info',
  'grpc_server_handled_total',
  'grpc_server_handling_seconds_sum',
  'grpc_server_msg_received_total',
  'grpc_server_msg_sent_total',
  'grpc_server_started_total',
];

test('after the calls every family of Gitaly 19.0 is there, with its type, labels and buckets', async () => {
  await using gitaly = await startObserved();
  await makeCalls(gitaly);
  let text = '';
  // A process is counted at its end, which may be after that of its call.
  await until(async () => {
    text = await metricsOf(gitaly);
    return sumOf(text, 'gitaly_command_context_switches_total') > 0;
  });

  const [families, differences] = [familiesOf(text), [] as string[]];
  const missing = new Map(
    Object.entries(MISSING).flatMap(([why, names]) => names.map((name) => [name, why])),
  );
  for (const [name, recorded] of RECORDED) {
    const own = families.get(name);
    if (own === undefined && missing.has(name)) continue;
    if (JSON.stringify(own) !== JSON.stringify(recorded)) {
      differences.push(`${name}: ${JSON.stringify(own)} instead of ${JSON.stringify(recorded)}`);
    }
  }

  assert.deepEqual(differences, []);
  assert.ok(
    [...missing.keys()].every((name) => RECORDED.has(name)),
    'an exception names no recorded family',
  );
  assert.deepEqual(
    [...missing.keys()].filter((name) => families.has(name)),
    [],
    'an exception is no longer needed',
  );
});

test('the help texts are those of Gitaly 19.0, as servers of one fleet share their metadata', async () => {
  await using gitaly = await startObserved();
  const text = await metricsOf(gitaly);
  const helps = new Map(Array.from(text.matchAll(/^# HELP (\S+) (.*)$/gm), ([, name, help]) => [name, help]));
  const recorded = HELP.split('\n').flatMap((line) => {
    const [name, help] = line.split('\t');
    return help === undefined || !helps.has(name) ? [] : [[name, help]];
  });

  assert.ok(recorded.length > 30);
  assert.deepEqual(
    recorded.map(([name]) => [name, helps.get(name)]),
    recorded,
  );
});

test('a fetch from a repository with packs and not one bitmap is counted', async () => {
  await using gitaly = await startObserved();
  const path = `${gitaly.storagePath()}/ref-write.git`;
  const count = async (): Promise<string[]> =>
    (await metricsOf(gitaly))
      .split('\n')
      .filter((line) => line.startsWith('gitaly_bad_bitmap_request_total{'));
  const method = '/gitaly.SmartHTTPService/PostUploadPackWithSidechannel';
  await fetchShallow(gitaly);
  assert.deepEqual(await count(), [], 'without packs nobody expects a bitmap');

  gitOutput(path, ['-c', 'repack.writeBitmaps=false', 'repack', '-adq']);
  await fetchShallow(gitaly);
  assert.deepEqual(await count(), [`gitaly_bad_bitmap_request_total{bitmaps="0",method="${method}"} 1`]);

  gitOutput(path, ['repack', '-adbq']);
  await fetchShallow(gitaly);
  assert.deepEqual(await count(), [`gitaly_bad_bitmap_request_total{bitmaps="0",method="${method}"} 1`]);
});

test('a call whose words would be options of git is counted by subcommand', async () => {
  await using gitaly = await startObserved();
  const repository = { storageName: 'default', relativePath: 'ref-write.git' };
  const call = () =>
    Array.fromAsync(
      gitaly.connection.diff.rawDiff({ repository, leftCommitId: '-x', rightCommitId: 'main' }),
    );
  assert.equal(sumOf(await metricsOf(gitaly), 'gitaly_invalid_commands_total'), 0);

  for (let count = 0; count < 2; count++) await assert.rejects(call, /cannot start with dash '-'/);

  const series = (await metricsOf(gitaly)).match(/^gitaly_invalid_commands_total\{.*$/gm);
  assert.deepEqual(series, ['gitaly_invalid_commands_total{command="diff"} 2']);
});

test('the repositories of each storage are counted when the server starts, and with each call', async () => {
  // Its repository lies directly in the storage, and does not count.
  await using gitaly = await startObserved();
  const path = gitaly.storagePath();
  const count = async (): Promise<string[]> =>
    (await metricsOf(gitaly))
      .split('\n')
      .filter((line) => line.startsWith('gitaly_total_repositories_count{'));
  const target = { storageName: 'default', relativePath: '@hashed/aa/bb/1.git' };
  await until(() => gitaly.log.some(({ msg }) => msg === 'completed counting repositories'));

  await gitaly.connection.repository.createRepository({ repository: target });
  assert.deepEqual(await count(), [`gitaly_total_repositories_count{path="${path}",prefix="@hashed"} 1`]);

  await gitaly.connection.repository.removeRepository({ repository: target });
  assert.deepEqual(await count(), [`gitaly_total_repositories_count{path="${path}",prefix="@hashed"} 0`]);
});

test('the scripted calls are counted, each where it belongs', async () => {
  await using gitaly = await startObserved();
  await makeCalls(gitaly);
  let text = '';
  await until(async () => {
    text = await metricsOf(gitaly);
    return sumOf(text, 'gitaly_command_minor_page_faults_total') > 0;
  });
  const count = (name: string, labels?: Record<string, string>): number => sumOf(text, name, labels);

  assert.deepEqual(
    COUNTED.filter((name) => !(count(name) > 0)),
    [],
  );
  const ofFiles = { cmd: 'git', reference_backend: 'files' };
  assert.ok(count('gitaly_command_real_seconds_total', ofFiles) > 0);
  const findCommit = { grpc_service: 'gitaly.CommitService', grpc_method: 'FindCommit' };
  assert.equal(count('grpc_server_started_total', findCommit), 3);
  assert.equal(count('grpc_server_handled_total', { ...findCommit, grpc_code: 'OK' }), 1);
  assert.equal(count('grpc_server_handled_total', { ...findCommit, grpc_code: 'InvalidArgument' }), 1);
  assert.equal(count('grpc_server_handled_total', { ...findCommit, grpc_code: 'NotFound' }), 1);
  assert.equal(
    count('gitaly_service_client_requests_total', {
      ...findCommit,
      grpc_code: 'OK',
      call_site: 'test',
      client_name: 'gitlab-web',
      auth_version: 'v2',
      method_operation: 'accessor',
      method_scope: 'repository',
    }),
    1,
  );
  assert.equal(count('gitaly_authentications_total', { enforced: 'true', status: 'ok' }), 14);
  assert.equal(count('gitaly_cacheinvalidator_optype_total', { type: 'mutator' }), 1);
  assert.equal(count('gitaly_cacheinvalidator_optype_total', { type: 'maintenance' }), 1);
  assert.equal(count('gitaly_connections_total', { type: 'unix' }), 2);
  assert.equal(count('gitaly_inforef_cache_attempt_total'), 2);
  assert.equal(count('gitaly_inforef_cache_hit_miss_total', { type: 'miss' }), 1);
  assert.equal(count('gitaly_inforef_cache_hit_miss_total', { type: 'hit' }), 1);
  assert.equal(count('gitaly_diskcache_requests_total'), 2);
  assert.equal(count('gitaly_diskcache_miss_total'), 1);
  assert.equal(count('gitaly_diskcache_bytes_fetched_total'), count('gitaly_diskcache_bytes_stored_total'));
  assert.equal(count('gitaly_list_commits_by_oid_request_size_count'), 1);
  assert.equal(count('gitaly_git_protocol_requests_total', { git_protocol: 'v0' }), 2);
  assert.equal(count('gitaly_git_protocol_requests_total', { git_protocol: 'v2' }), 1);
  assert.equal(count('gitaly_smarthttp_packfile_negotiation_deepen_sum'), 1);
  assert.equal(
    count('gitaly_smarthttp_packfile_negotiation_requests_total', { git_negotiation_feature: 'deepen' }),
    1,
  );
});
