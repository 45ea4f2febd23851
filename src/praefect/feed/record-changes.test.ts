import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  addRepository,
  addWrite,
  changedRepositories,
  eventsIn,
  VIRTUAL_STORAGE,
} from '#testkit/feed/feed-database';
import { startScriptedFeed } from '#testkit/feed/scripted-feed';
import { databaseOfFile } from '#testkit/praefect/database-of-file';
import { replaceMethod } from '#testkit/replace-method';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { sql } from '../database/database.ts';

const skip = withoutPostgres;
const PATH = '@cluster/1';

const databaseOf = databaseOfFile();

const startFeed = () => startScriptedFeed(databaseOf());

const UP_TO_DATE = { 'gitaly-1': 1, 'gitaly-2': 1, 'gitaly-3': 1 };

test('references are read from the primary', { skip }, async () => {
  const { database, nodes, record } = await startFeed();
  await addRepository(database, 1, { primary: 'gitaly-2', replicas: UP_TO_DATE });
  for (const [index, node] of nodes.entries())
    node.references.set(PATH, new Map([['refs/heads/main', `${index + 1}`]]));

  assert.deepEqual(await record(), { blocked: [], isEnd: true });

  assert.deepEqual(
    nodes.map(({ reads }) => reads),
    [[], [PATH], []],
  );
  assert.deepEqual(await eventsIn(database), ['created 1.git', 'reference 1.git refs/heads/main: - > 2']);
  assert.deepEqual(await changedRepositories(database), []);
});

test('another up-to-date replica is read if the primary fails, and the failure is reported', {
  skip,
}, async () => {
  const { database, nodes, problems, record } = await startFeed();
  const [outdated, primary, other] = nodes;
  await addRepository(database, 1, {
    primary: 'gitaly-2',
    replicas: { 'gitaly-1': 0, 'gitaly-2': 1, 'gitaly-3': 1 },
  });
  outdated.references.set(PATH, new Map([['refs/heads/main', 'old']]));
  primary.fails = 'UNAVAILABLE';
  other.references.set(PATH, new Map([['refs/heads/main', 'new']]));

  assert.deepEqual(await record(), { blocked: [], isEnd: true });

  assert.equal(problems.length, 1);
  assert.deepEqual(await eventsIn(database), ['created 1.git', 'reference 1.git refs/heads/main: - > new']);
});

test('a repository without a readable replica waits, and others do not', { skip }, async () => {
  const { database, nodes, record, unhealthy } = await startFeed();
  const [first, second] = nodes;
  await addRepository(database, 1, { replicas: { 'gitaly-1': 0, 'gitaly-2': 1 } });
  await addRepository(database, 2);
  unhealthy.add('gitaly-2');
  second.references.set(PATH, new Map([['HEAD', 'ref: refs/heads/main']]));

  assert.deepEqual(await record(), { blocked: [1], isEnd: true });

  assert.deepEqual(await eventsIn(database), ['created 2.git']);
  assert.deepEqual(await changedRepositories(database), [1]);
  assert.deepEqual(first.reads, ['@cluster/2']);
  assert.deepEqual(await record([1]), { blocked: [], isEnd: true }, 'it is not tried again');

  unhealthy.clear();
  await record();

  assert.deepEqual(await eventsIn(database, { after: 1 }), [
    'created 1.git',
    'reference 1.git HEAD: - > ref: refs/heads/main',
  ]);
});

// Symptom: the new repository was reported first, and then, as if it were that one, the rename of
// the old one: consumers had it at another path.
for (const isLater of [false, true])
  test(`a new repository at the path of one that waits, waits, too${isLater ? ' later' : ''}`, {
    skip,
  }, async () => {
    const { database, record, unhealthy } = await startFeed();
    unhealthy.add('gitaly-1');
    await addRepository(database, 1);
    await database.run(sql`UPDATE repositories SET relative_path = 'old.git'`);
    if (isLater) assert.deepEqual(await record(), { blocked: [1], isEnd: true });
    await addRepository(database, 3, { replicas: { 'gitaly-2': 1 } });
    await addRepository(database, 2, { replicas: { 'gitaly-2': 1 } });
    await database.run(sql`UPDATE repositories SET relative_path = '1.git' WHERE repository_id = 2`);

    const { blocked = [] } = (await record(isLater ? [1] : [])) ?? {};

    assert.deepEqual([...blocked].sort(), isLater ? [2] : [1, 2]);
    assert.deepEqual(await eventsIn(database), ['created 3.git', 'created 2.git']);
    unhealthy.clear();
    await record();
    assert.deepEqual(await eventsIn(database, { after: 2 }), [
      'created 1.git',
      'renamed old.git was 1.git',
      'renamed 1.git was 2.git',
    ]);
  });

test('a write before a rename is reported with the old path, and a rename reads nothing', {
  skip,
}, async () => {
  const { database, nodes, record } = await startFeed();
  const [node] = nodes;
  await addRepository(database, 1);
  await record();
  node.references.set(PATH, new Map([['refs/heads/main', '1']]));
  await addWrite(database, 1);
  await database.run(sql`UPDATE repositories SET relative_path = 'new.git'`);
  await record();

  assert.deepEqual(await eventsIn(database, { after: 1 }), [
    'reference 1.git refs/heads/main: - > 1',
    'renamed new.git was 1.git',
  ]);
  const reads = node.reads.length;
  await database.run(sql`UPDATE repositories SET relative_path = 'newer.git'`);
  await record();

  assert.equal(node.reads.length, reads);
  assert.deepEqual(await eventsIn(database, { after: 3 }), ['renamed newer.git was new.git']);
});

test('several writes in one look are read once, and a removal ends a repository', { skip }, async () => {
  const { database, nodes, record } = await startFeed();
  const [node] = nodes;
  await addRepository(database, 1);
  node.references.set(PATH, new Map([['refs/heads/main', '1']]));
  await addWrite(database, 1);
  await addWrite(database, 1);
  await record();
  assert.deepEqual(node.reads, [PATH]);

  await addWrite(database, 1);
  await database.run(sql`DELETE FROM repositories`);
  await record();

  assert.deepEqual(await eventsIn(database), [
    'created 1.git',
    'reference 1.git refs/heads/main: - > 1',
    'removed 1.git',
  ]);
  assert.equal(await database.row(sql`SELECT FROM gitalyts_feed_repositories`), undefined);
});

test('only one praefect makes events at a time', { skip }, async () => {
  const { database, record } = await startFeed();
  await addRepository(database, 1);

  await database.transaction(async (executor) => {
    await sql`SELECT FROM gitalyts_feed_state FOR UPDATE`.execute(executor);
    assert.equal(await record(), undefined);
  });

  assert.deepEqual(await record(), { blocked: [], isEnd: true });
});

test('changes are recorded five hundred at a time', { skip }, async () => {
  const { database, record } = await startFeed();
  await database.run(sql`INSERT INTO gitalyts_feed_changes
    (kind, repository_id, virtual_storage, relative_path)
    SELECT 'removed', id, ${VIRTUAL_STORAGE}, id || '.git' FROM generate_series(1, 500) AS each(id)`);

  assert.deepEqual(await record(), { blocked: [], isEnd: false });
  assert.deepEqual(await record(), { blocked: [], isEnd: true });

  const events = await eventsIn(database);
  assert.equal(events.length, 500);
  assert.deepEqual([events[0], events[499]], ['removed 1.git', 'removed 500.git']);
});

test('eight repositories are read at once, and all of them', { skip }, async (context) => {
  const { database, nodes, record } = await startFeed();
  const [node] = nodes;
  const ids = Array.from({ length: 17 }, (_, index) => index + 1);
  for (const id of ids) {
    await addRepository(database, id);
    node.references.set(`@cluster/${id}`, new Map([['HEAD', `ref: refs/heads/${id}`]]));
  }
  const { ref } = node.connection;
  const findHead = ref.findDefaultBranchName.bind(ref);
  const gates: PromiseWithResolvers<void>[] = [];
  replaceMethod(context, ref, 'findDefaultBranchName', async (request) => {
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    await gate.promise;
    return await findHead(request);
  });

  const recording = record();
  for (const reads of [8, 16, 17]) {
    await until(() => gates.length >= reads);
    await turn();
    assert.equal(gates.length, reads);
    for (const gate of gates) gate.resolve();
  }

  assert.deepEqual(await recording, { blocked: [], isEnd: true });
  assert.deepEqual(
    await eventsIn(database),
    ids.flatMap((id) => [`created ${id}.git`, `reference ${id}.git HEAD: - > ref: refs/heads/${id}`]),
  );
});
