import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { PrimaryChoice } from './election.ts';
import { LocalPrimary } from './local-primary.ts';
import { SqlPrimary } from './sql-primary.ts';

const skip = withoutPostgres;
const virtualStorage = 'default';
// Only the name and the identity of a node matter here.
const nodes = ['a', 'b', 'c'].map((storage) => ({ storage })) as GitalyNode[];
const [a, b, c] = nodes as [GitalyNode, GitalyNode, GitalyNode];

const log: string[] = [];
const logger = createLogger({ format: 'json', level: 'info', stream: { write: (line) => log.push(line) } });

const sqlPrimary = ({ database }: TestDatabase, praefectName = 'one'): SqlPrimary =>
  new SqlPrimary({ database, virtualStorage, praefectName, nodes, logger });

/** Lets time pass: nodes that are not seen again count as inactive, and elections are due. */
const pass = ({ database }: TestDatabase, seconds: number) =>
  database.run(sql`WITH elected AS (
      UPDATE shard_primaries SET elected_at = elected_at - make_interval(secs => ${seconds})
    )
    UPDATE node_status SET
      last_seen_active_at = last_seen_active_at - make_interval(secs => ${seconds}),
      last_contact_attempt_at = last_contact_attempt_at - make_interval(secs => ${seconds})`);

const clear = ({ database }: TestDatabase) =>
  database.run(sql`TRUNCATE node_status, shard_primaries, repositories CASCADE`);

/** Runs a test on each kind of choice. */
function testChoices(
  name: string,
  run: (
    choice: PrimaryChoice,
    seen: (...serving: GitalyNode[]) => Promise<string | undefined>,
  ) => Promise<void>,
): void {
  const seenBy =
    (choice: PrimaryChoice, wait = async () => {}) =>
    async (...serving: GitalyNode[]) => {
      await wait();
      await choice.update({ serving, healthy: serving });
      return (await choice.find())?.storage;
    };
  test(`${name}, in memory`, async () => {
    const choice = new LocalPrimary({ virtualStorage, nodes, failsOver: true, logger });
    await run(choice, seenBy(choice));
  });
  test(`${name}, in PostgreSQL`, { skip }, async () => {
    await using postgres = await startPostgres();
    const choice = sqlPrimary(postgres);
    await run(
      choice,
      seenBy(choice, async () => void (await pass(postgres, 11))),
    );
  });
}

testChoices('the first healthy node becomes the primary and stays it', async (choice, seen) => {
  assert.equal(await seen(a, b, c), 'a');
  assert.equal(await seen(b, c), 'b');
  assert.equal(await seen(a, b, c), 'b', 'it does not fall back');
  assert.equal(await seen(), undefined, 'no node takes its calls');
  assert.equal(await seen(c), 'c');
  assert.equal(choice.current, c);
});

test('a primary that fails over only when it is allowed to stays the first node', async () => {
  const choice = new LocalPrimary({ virtualStorage, nodes, failsOver: false, logger });
  await choice.update({ serving: [b], healthy: [b] });
  assert.equal(choice.current, a);
  assert.equal(await choice.find(), undefined);
});

test('elections in the database', { skip }, async (t) => {
  await using postgres = await startPostgres();

  await t.test('an election waits until the last one is ten seconds old', async () => {
    await clear(postgres);
    const choice = sqlPrimary(postgres);
    await choice.update({ serving: [a, b], healthy: [] });
    await postgres.database.run(sql`UPDATE node_status SET last_seen_active_at = NULL`);

    await choice.update({ serving: [b], healthy: [] });
    assert.equal((await choice.find())?.storage, 'a', 'it is not replaced yet');

    await pass(postgres, 10.1);
    await choice.update({ serving: [b], healthy: [] });
    assert.equal((await choice.find())?.storage, 'b');
  });

  // Born failing: ten seconds without writes after a kill.
  await t.test('a primary whose server has ended is replaced at once', async () => {
    await clear(postgres);
    const choice = sqlPrimary(postgres);
    await choice.update({ serving: [a, b], healthy: [] });

    await choice.update({ serving: [b], healthy: [] });
    assert.equal((await choice.find())?.storage, 'a', 'it may only be busy');
    await choice.update({ serving: [b], healthy: [], gone: [a] });
    assert.equal((await choice.find())?.storage, 'b');
  });

  // Born failing: neither saw what the other had found, and writes failed until the next check.
  await t.test('Praefects that find at the same time that the primary has gone replace it', async () => {
    for (let count = 0; count < 10; count++) {
      await clear(postgres);
      const both = ['one', 'two'].map((name) => sqlPrimary(postgres, name));
      await Promise.all(both.map((each) => each.update({ serving: [a, b], healthy: [] })));

      await Promise.all(both.map((each) => each.update({ serving: [b], healthy: [], gone: [a] })));

      for (const each of both) assert.equal((await each.find())?.storage, 'b');
    }
  });

  await t.test('a demoted primary comes back when the last election is old enough', async () => {
    await clear(postgres);
    const { database } = postgres;
    const choice = sqlPrimary(postgres);
    await choice.update({ serving: [a], healthy: [] });
    await database.run(sql`UPDATE node_status SET last_seen_active_at = NULL`);

    await choice.update({ serving: [], healthy: [] });
    assert.equal(await choice.find(), undefined);
    const told = log.map((line) => JSON.parse(line)).findLast(({ primary }) => primary !== undefined);
    assert.deepEqual([told.msg, told.primary], ['demoting primary node', 'a']);
    const stored = () =>
      database.row(sql`SELECT node_name, demoted, read_only, elected_by_praefect FROM shard_primaries`);
    assert.deepEqual(await stored(), {
      node_name: 'a',
      demoted: true,
      read_only: false,
      elected_by_praefect: 'one',
    });
    const changed = (): unknown[] => {
      const { oldPrimary, newPrimary } = JSON.parse(
        log.findLast((line) => line.includes('primary node changed')) ?? '{}',
      );
      return [oldPrimary, newPrimary];
    };
    assert.deepEqual(changed(), ['a', '']);
    await choice.update({ serving: [a], healthy: [] });
    assert.equal(await choice.find(), undefined, 'too early');
    await pass(postgres, 11);
    await choice.update({ serving: [a], healthy: [] });
    assert.equal((await choice.find())?.storage, 'a');
    assert.deepEqual(changed(), ['', 'a']);
  });

  await t.test('the node that misses the fewest writes is elected', async () => {
    await clear(postgres);
    const { database } = postgres;
    await database.run(sql`
      INSERT INTO repositories (virtual_storage, relative_path, generation, repository_id)
      VALUES ('default', 'x', 5, 1), ('default', 'y', 0, 2), ('other', 'x', 9, 3)`);
    await database.run(sql`INSERT INTO storage_repositories VALUES
    ('default', 'x', 'a', 3, 1), ('default', 'x', 'b', 5, 1), ('default', 'y', 'a', 0, 2),
    ('other', 'x', 'a', 9, 3)`);

    const choice = sqlPrimary(postgres);
    await choice.update({ serving: [a, b, c], healthy: [] });

    // a misses 2, b misses 1 (it has no replica of y), c misses 6 and 1.
    assert.equal((await choice.find())?.storage, 'b');
    assert.match(
      log.findLast((line) => line.includes('new primary selected') && line.includes('"new_primary":"b"')) ??
        '',
      /"fallback_choice":false/,
    );
  });

  await t.test('a node that is not configured here is logged and not elected', async () => {
    await clear(postgres);
    await postgres.database.run(sql`INSERT INTO node_status
      (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
      VALUES ('one', 'default', '0', now(), now())`);
    const choice = sqlPrimary(postgres);
    await choice.update({ serving: [b], healthy: [] });

    assert.equal((await choice.find())?.storage, 'b');
    const { level, node_name: name } = JSON.parse(
      log.findLast((line) => line.includes('unknown candidate node name found')) ?? '{}',
    );
    assert.deepEqual([level, name], ['error', '0']);
  });

  await t.test('half of the active Praefects decide, and agree', async () => {
    await clear(postgres);
    const [one, two, three] = ['one', 'two', 'three'].map((name) => sqlPrimary(postgres, name));
    assert.ok(one && two && three);
    const found = async () =>
      (await Promise.all([one, two, three].map((each) => each.find()))).map((n) => n?.storage);
    await Promise.all([one, two, three].map((each) => each.update({ serving: [a, b], healthy: [] })));
    assert.deepEqual(await found(), ['a', 'a', 'a']);

    await pass(postgres, 11);
    await one.update({ serving: [a, b], healthy: [] });
    await two.update({ serving: [b], healthy: [] });
    await three.update({ serving: [b], healthy: [] });
    assert.deepEqual(await found(), ['b', 'b', 'b'], 'one of three sees a');

    await pass(postgres, 61);
    await one.update({ serving: [a], healthy: [] });
    assert.deepEqual(await found(), ['a', 'a', 'a'], 'only one Praefect is active');
  });
});
