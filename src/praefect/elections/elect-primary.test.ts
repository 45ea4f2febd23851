import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { startPostgres, withoutPostgres } from '#testkit/start-postgres';
import { sql } from '../database/database.ts';
import { electPrimary } from './elect-primary.ts';

const skip = withoutPostgres;

test('concurrent elections agree, and keep a primary that is valid', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const log: string[] = [];
  const logger = createLogger({ format: 'json', level: 'info', stream: { write: (line) => log.push(line) } });
  const elect = () => electPrimary(database, 1, logger);
  assert.equal(await elect(), undefined, 'there is no repository');
  await database.run(sql`INSERT INTO repositories VALUES ('default', 'x.git', 0, 'gone', 1, 'x')`);
  assert.equal(await elect(), 'gone', 'nobody can replace it');
  await database.run(sql`INSERT INTO storage_repositories SELECT 'default', 'x.git', storage, 0, 1
    FROM unnest(ARRAY['a', 'b', 'c']) AS each(storage)`);
  await database.run(sql`INSERT INTO node_status
    (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
    SELECT 'one', 'default', storage, now(), now() FROM unnest(ARRAY['a', 'b', 'c']) AS each(storage)`);

  const elected = await Promise.all(Array.from({ length: 10 }, elect));

  assert.equal(new Set(elected).size, 1);
  assert.match(elected[0] ?? '', /^[abc]$/);
  assert.equal(log.length, 1);
  assert.match(log[0] ?? '', /"primary node changed".*"previous_primary":"gone"/);
  assert.equal(await elect(), elected[0]);
});
