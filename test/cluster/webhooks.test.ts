import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type RepositoryEvent, watchEvents } from '#client/index';
import type { EventPayload } from '#events/event-payload';
import { sql } from '#praefect/database/database';
import { clusterTables } from '#testkit/praefect/cluster-tables';
import { withoutPostgres as skip, startPostgres, type TestDatabase } from '#testkit/servers/start-postgres';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';
import type { WebhookStatus } from '#webhooks/webhook-status';
import { type Receiver, SECRET, startReceiver } from '../events/webhook-receiver.ts';
import { PraefectProcess } from './faults/praefect-process.ts';

const EVENTS = { enabled: true };
const WEBHOOK = { name: 'ci', secret: SECRET, allow_private_addresses: true };
const target = (relativePath: string) => ({ storageName: 'default', relativePath });
const brief = ({ new_value, reference = '', repository, type }: EventPayload): string =>
  `${type} ${repository} ${reference} ${new_value ?? ''}`.trim();

async function startWith(receiver: Receiver, database: TestDatabase, praefects: number) {
  return await startCluster({
    database,
    praefects,
    nodes: 1,
    config: { events: EVENTS, webhook: [{ ...WEBHOOK, url: receiver.url }] },
    gitalyConfig: { events: EVENTS },
  });
}

/** Moves HEAD, which is an event. */
async function write({ connection }: Pick<TestCluster, 'connection'>, path: string, branch: string) {
  await connection.repository.writeRef({
    repository: target(path),
    ref: Buffer.from('HEAD'),
    revision: Buffer.from(`refs/heads/${branch}`),
  });
}

async function statusesOf({ praefects }: TestCluster): Promise<(WebhookStatus | undefined)[]> {
  return await Promise.all(praefects.map(async ({ server }) => (await server.calls.status()).webhooks?.[0]));
}

async function hasSender(database: TestDatabase['database']): Promise<boolean> {
  const row = await database.row(sql`SELECT FROM gitalyts_feed_webhooks`);
  return row !== undefined;
}

test('one praefect of a cluster sends each event, and the next one continues at its end', {
  skip,
}, async (context) => {
  const receiver = await startReceiver(context);
  await using postgres = await startPostgres();
  const expected = ['created a.git', 'reference a.git HEAD ref: refs/heads/main'];
  {
    await using cluster = await startWith(receiver, postgres, 2);
    const [first = assert.fail(), second = assert.fail()] = cluster.praefects;
    await until(() => hasSender(postgres.database), 'a praefect sends');
    await first.connection.repository.createRepository({ repository: target('a.git') });
    await write(second, 'a.git', 'one');
    await write(first, 'a.git', 'two');
    for (const branch of ['one', 'two']) expected.push(`reference a.git HEAD ref: refs/heads/${branch}`);
    await until(() => receiver.events.length === expected.length);
    await until(
      async () => (await statusesOf(cluster)).every((status) => status?.delivered === expected.length),
      'both show it',
    );

    assert.deepEqual(receiver.events.map(brief), expected);
    assert.deepEqual(
      (await statusesOf(cluster)).map((status) => [status?.name, status?.waiting, status?.behind]),
      [
        ['ci', 0, 0],
        ['ci', 0, 0],
      ],
    );
  }
  const lease = await postgres.database.row(sql`SELECT FROM gitalyts_feed_sender`);
  assert.equal(lease, undefined, 'the next one need not wait for the end of a lease');
  await using later = await startWith(receiver, postgres, 1);
  await later.connection.repository.createRepository({ repository: target('b.git') });
  await until(() => receiver.events.length === expected.length + 2);

  assert.deepEqual(receiver.events.slice(expected.length).map(brief), [
    'created b.git',
    'reference b.git HEAD ref: refs/heads/main',
  ]);
  assert.equal(new Set(receiver.events.map(({ id }) => id)).size, receiver.events.length);
});

test('a refused event of a cluster is shown with its reason by every praefect', { skip }, async (context) => {
  const receiver = await startReceiver(context);
  receiver.status = 503;
  await using postgres = await startPostgres();
  await using cluster = await startWith(receiver, postgres, 2);
  await until(() => hasSender(postgres.database), 'a praefect sends');
  await cluster.connection.repository.createRepository({ repository: target('a.git') });

  await until(
    async () =>
      (await statusesOf(cluster)).every(
        (status) => status?.last_problem === 'the receiver responded with 503' && status.waiting === 2,
      ),
    'both show the problem',
  );
  receiver.status = 200;
  await until(() => receiver.events.length === 2);
});

test('what a killed praefect has not delivered comes from another one, in order', {
  skip,
}, async (context) => {
  const receiver = await startReceiver(context);
  await using postgres = await startPostgres();
  // This one only writes.
  const options = { config: { events: EVENTS }, gitalyConfig: { events: EVENTS } };
  await using cluster = await startCluster({ ...options, database: postgres, nodes: 1 });
  const paths = ['a.git', 'b.git', 'refused.git'];
  for (const path of paths)
    await cluster.connection.repository.createRepository({ repository: target(path) });
  await using first = await startSender(1, { cluster, postgres, receiver });
  await until(() => hasSender(postgres.database), 'the first one sends');
  await using second = await startSender(2, { cluster, postgres, receiver });
  const written = Object.fromEntries(paths.map((path) => [path, [] as string[]]));
  const writeAll = async (from: number, to: number): Promise<void> => {
    for (let number = from; number < to; number++)
      for (const path of paths) {
        await write(cluster, path, String(number));
        written[path]?.push(`ref: refs/heads/${number}`);
      }
  };
  receiver.refuses = ({ repository }) => repository === 'refused.git';
  const before = writeAll(0, 20);
  await until(() => receiver.events.length >= 5);

  first.kill('SIGKILL');
  await before;
  await writeAll(20, 25);
  // A lease lasts longer than a test should.
  await postgres.database.run(sql`UPDATE gitalyts_feed_sender SET expires_at = clock_timestamp()`);
  receiver.refuses = () => false;

  const ofRepository = (path: string): string[] => [
    ...new Map(
      receiver.events
        .filter(({ repository }) => repository === path)
        .map(({ id, new_value }) => [id, String(new_value)]),
    ).values(),
  ];
  await until(
    () => paths.every((path) => ofRepository(path).length >= 25),
    () => JSON.stringify(paths.map(ofRepository)),
  );
  for (const path of paths) assert.deepEqual(ofRepository(path), written[path], path);
  const sequences = Map.groupBy(receiver.events, ({ repository }) => repository);
  for (const [path, events] of sequences) {
    const fresh = events.filter(({ id }, index) => events.findIndex((other) => other.id === id) === index);
    const numbers = fresh.map(({ sequence }) => sequence);
    assert.deepEqual(
      numbers,
      numbers.toSorted((one, other) => one - other),
      path,
    );
  }
  const feed: RepositoryEvent[] = [];
  for await (const event of watchEvents(cluster.connection, { storageName: 'default' })) {
    feed.push(event);
    if (feed.filter(({ kind }) => kind === 'reference').length === 3 * 26) break;
  }
  const ids = new Set(feed.map(({ sequence }) => `default:${sequence}`));
  assert.deepEqual(
    receiver.events.filter(({ id }) => !ids.has(id)),
    [],
    'the ids are those of the feed',
  );
  assert.ok(second.isRunning);
});

interface SenderParts {
  readonly cluster: TestCluster;
  readonly postgres: TestDatabase;
  readonly receiver: Receiver;
}

/** Starts a praefect in a process of its own, with the webhook. */
async function startSender(
  number: number,
  { cluster, postgres, receiver }: SenderParts,
): Promise<PraefectProcess> {
  const path = join(cluster.directory, `sender-${number}.toml`);
  const addresses = cluster.nodes.map(({ address }) => address);
  writeFileSync(
    path,
    `socket_path = "${join(cluster.directory, `sender-${number}.socket`)}"
[logging]
format = "json"
[events]
enabled = true
[[webhook]]
name = "ci"
url = "${receiver.url}"
secret = "${SECRET}"
allow_private_addresses = true
${clusterTables(postgres, addresses)}`,
  );
  return await PraefectProcess.start(path);
}
