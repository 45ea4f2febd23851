import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CallError, commitFiles, type RepositoryEvent, watchEvents } from '#client/index';
import { sql } from '#praefect/database/database';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { decodeEvent } from '../../src/client/watch-events.ts';
import { Replay, referencesOf } from '../events/replay.ts';

const FEED = { config: { events: { enabled: true } }, gitalyConfig: { events: { enabled: true } } };
const target = (relativePath: string) => ({
  storageName: 'default',
  relativePath,
  glRepository: 'project-1',
});

async function commitTo(
  { connection }: Pick<TestCluster, 'connection'>,
  path: string,
  branch: string,
  name: string,
) {
  const update = await commitFiles(
    connection,
    {
      repository: target(path),
      user: USER,
      branchName: Buffer.from(branch),
      commitMessage: Buffer.from(name),
    },
    [{ type: 'create', path: name, content: name }],
  );
  return update?.commitId ?? '';
}

const brief = ({ kind, relativePath, reference, oldValue, newValue }: RepositoryEvent): string =>
  [kind, relativePath, reference, oldValue ?? '-', newValue ?? '-'].join(' ');

/**
 * Reads pages of a feed until its end. It starts again, as docs/events.md says, when a repository
 * was renamed meanwhile.
 */
async function listAll(cluster: Pick<TestCluster, 'connection'>, limit = 0): Promise<RepositoryEvent[]> {
  try {
    return await listOnce(cluster, limit);
  } catch (error) {
    if (!(error instanceof CallError) || error.code !== 'OUT_OF_RANGE') throw error;
    return await listOnce(cluster, limit);
  }
}

async function listOnce(
  { connection }: Pick<TestCluster, 'connection'>,
  limit: number,
): Promise<RepositoryEvent[]> {
  const events: RepositoryEvent[] = [];
  let page = await connection.events.list({ storageName: 'default', limit });
  for (;;) {
    events.push(...page.events.map(decodeEvent));
    if (page.isEnd) return events;
    const { compactedTo, cursor: after } = page;
    page = await connection.events.list({ storageName: 'default', limit, after, compactedTo });
  }
}

test('a cluster has one feed, in the order of its writes', { skip: withoutPostgres }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ ...FEED, database: postgres, praefects: 2 });
  const { repository, ref } = cluster.connection;
  const other = cluster.praefects[1]?.connection ?? assert.fail();

  await repository.createRepository({ repository: target('a.git') });
  const first = await commitTo(cluster, 'a.git', 'main', 'one');
  await until(async () => (await listAll(cluster)).length === 3);
  const second = await commitTo({ connection: other }, 'a.git', 'main', 'two');
  // Of writes in a fraction of a second there may be one event, or none before a removal.
  await until(async () => (await listAll(cluster)).length === 4);
  await ref.deleteRefs({ repository: target('a.git'), refs: [Buffer.from('refs/heads/main')] });
  await until(async () => (await listAll(cluster)).length === 5);
  await repository.renameRepository({ repository: target('a.git'), relativePath: 'b.git' });
  await repository.removeRepository({ repository: target('b.git') });

  const events: RepositoryEvent[] = [];
  for await (const event of watchEvents(other, { storageName: 'default' })) {
    events.push(event);
    if (event.kind === 'removed') break;
  }
  assert.deepEqual(events.map(brief), [
    'created a.git  - -',
    'reference a.git HEAD - ref: refs/heads/main',
    `reference a.git refs/heads/main - ${first}`,
    `reference a.git refs/heads/main ${first} ${second}`,
    `reference a.git refs/heads/main ${second} -`,
    'renamed b.git  - -',
    'removed b.git  - -',
  ]);
});

test('a feed that was off says that events of that time are missing', { skip: withoutPostgres }, async () => {
  await using postgres = await startPostgres();
  const { config } = FEED;
  {
    await using cluster = await startCluster({ config, database: postgres });
    await cluster.connection.repository.createRepository({ repository: target('a.git') });
    await until(async () => (await listAll(cluster)).length === 2);
  }
  {
    await using cluster = await startCluster({ database: postgres });
    await assert.rejects(cluster.connection.events.list({ storageName: 'default' }), {
      code: 'UNIMPLEMENTED',
    });
  }
  await using cluster = await startCluster({ config, database: postgres });
  await cluster.connection.repository.createRepository({ repository: target('b.git') });
  await commitTo(cluster, 'b.git', 'main', 'one');

  const kinds = async (): Promise<string[]> =>
    (await listAll(cluster)).map(({ kind, relativePath }) => `${kind} ${relativePath}`);
  await until(async () => (await kinds()).length === 6);
  assert.deepEqual(await kinds(), [
    'created a.git',
    'reference a.git',
    'resync ',
    'created b.git',
    'reference b.git',
    'reference b.git',
  ]);
});

test('a repository that is older than the feed is to be listed at its first change', {
  skip: withoutPostgres,
}, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ ...FEED, database: postgres });
  await cluster.connection.repository.createRepository({ repository: target('a.git') });
  await until(async () => (await listAll(cluster)).length === 2);
  await postgres.database.run(sql`DELETE FROM gitalyts_feed_repositories`); // as before the feed

  await commitTo(cluster, 'a.git', 'main', 'one');
  await until(async () => (await listAll(cluster)).length === 3);
  const second = await commitTo(cluster, 'a.git', 'main', 'two');

  await until(async () => (await listAll(cluster)).length === 4);
  const events = await listAll(cluster);
  assert.deepEqual(
    events.slice(2).map(({ kind, newValue }) => [kind, newValue]),
    [
      ['resync', undefined],
      ['reference', second],
    ],
  );
});

test('old events of a cluster are compacted', { skip: withoutPostgres }, async () => {
  await using postgres = await startPostgres();
  const config = { events: { enabled: true, max_events: 1000n } };
  await using cluster = await startCluster({ config, database: postgres });
  const { ref, repository } = cluster.connection;
  for (const path of ['a.git', 'b.git']) await repository.createRepository({ repository: target(path) });
  const oids = [
    await commitTo(cluster, 'a.git', 'main', 'one'),
    await commitTo(cluster, 'a.git', 'main', 'two'),
  ];
  const lastSequence = async (): Promise<number> => {
    const row = await postgres.database.row(sql<{ last: number }>`SELECT last FROM gitalyts_feed_state`);
    return row?.last ?? 0;
  };
  for (let round = 0; round < 4; round++) {
    const before = await lastSequence();
    const updates = Array.from({ length: 400 }, (_, number) => ({
      reference: Buffer.from(`refs/heads/b/${number}`),
      newObjectId: Buffer.from(oids[round % 2] ?? ''),
    }));
    await ref.updateReferences([{ repository: target('a.git'), updates }]);
    // Of two rounds in a fraction of a second there would be one event for each reference.
    await until(async () => (await lastSequence()) >= before + updates.length);
  }
  await repository.renameRepository({ repository: target('b.git'), relativePath: 'c.git' });
  await until(async () => {
    const events = await listAll(cluster);
    return (
      events[0]?.kind === 'compacted' &&
      events.some(({ kind, relativePath }) => kind === 'created' && relativePath === 'c.git')
    );
  });

  for (const limit of [0, 100]) {
    const events = await listAll(cluster, limit);
    assert.ok(events.length < 500, `${events.length} events`);
    const replay = new Replay();
    for (const event of events) replay.apply(event);
    const [, storage = assert.fail()] = cluster.nodes;
    assert.deepEqual([...replay.repositories.keys()].sort(), ['a.git', 'c.git']);
    const { path } = (await postgres.database.row(sql<{ path: string }>`
      SELECT replica_path AS path FROM repositories WHERE relative_path = 'a.git'`)) ?? { path: '' };
    assert.deepEqual(
      replay.repositories.get('a.git'),
      await referencesOf(join(storage.storagePath('gitaly-2'), path)),
    );
  }
  const old = cluster.connection.events.list({ storageName: 'default', after: 3n });
  await assert.rejects(old, { code: 'OUT_OF_RANGE' });
});

test('the feed reads of a write what has changed, however many references there are', {
  skip: withoutPostgres,
}, async (context) => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ ...FEED, database: postgres, praefects: 2 });
  const sizes = { 'small.git': 10, 'large.git': 2000 };
  const reads: Record<string, Reads> = {};
  for (const [path, count] of Object.entries(sizes)) {
    const repository = target(path);
    await cluster.connection.repository.createRepository({ repository });
    const id = await commitTo(cluster, path, 'main', 'one');
    await moveAll(
      cluster,
      path,
      Array.from({ length: count }, (_, number) => [`refs/heads/b/${number}`, id]),
    );
    // From here on the feed knows how far it is in the journal of the node.
    const start = await commitTo(cluster, path, 'main', 'two');
    await until(async () => (await listAll(cluster)).some(({ newValue }) => newValue === start));
    const before = readsOf(cluster);
    const written: string[] = [];
    for (let number = 0; number < 6; number++) {
      const writer = cluster.praefects[number % 2] ?? assert.fail();
      written.push(await commitTo(writer, path, 'main', `file-${number}`));
    }
    const last = async () => (await listAll(cluster)).slice(-written.length);
    await until(async () => (await last()).at(-1)?.newValue === written.at(-1));
    assert.deepEqual(
      (await last()).map(({ kind, newValue, relativePath }) => [kind, relativePath, newValue]),
      written.map((value) => ['reference', path, value]),
    );
    const after = readsOf(cluster);
    reads[path] = { calls: after.calls - before.calls, bytes: after.bytes - before.bytes };
  }

  const { 'large.git': large = NONE, 'small.git': small = NONE } = reads;
  context.diagnostic(JSON.stringify(reads));
  assert.ok(small.calls > 0);
  assert.ok(large.calls <= small.calls + 4, JSON.stringify(reads));
  assert.ok(large.bytes < 4 * small.bytes, JSON.stringify(reads));
});

interface Reads {
  readonly calls: number;
  readonly bytes: number;
}

const NONE: Reads = { calls: 0, bytes: 0 };
/** The calls by which a feed learns of changes. */
const FEED_CALLS = new Set(['ListRefs', 'FindDefaultBranchName', 'List']);

/** Returns what the nodes have sent of their references and events. */
function readsOf({ nodes }: TestCluster): Reads {
  const calls = nodes
    .flatMap(({ log }) => log)
    .filter((line) => FEED_CALLS.has(String(line['grpc.method'])) && line['grpc.code'] !== undefined);
  return {
    calls: calls.length,
    bytes: calls.reduce((sum, line) => sum + Number(line['grpc.response.payload_bytes'] ?? 0), 0),
  };
}

async function moveAll(
  { connection }: Pick<TestCluster, 'connection'>,
  path: string,
  values: readonly (readonly [name: string, id: string])[],
): Promise<void> {
  const updates = values.map(([name, id]) => ({
    reference: Buffer.from(name),
    newObjectId: Buffer.from(id),
  }));
  await connection.ref.updateReferences(
    Array.from({ length: Math.ceil(updates.length / 500) }, (_, index) => ({
      ...(index === 0 && { repository: target(path) }),
      updates: updates.slice(500 * index, 500 * (index + 1)),
    })),
  );
}
