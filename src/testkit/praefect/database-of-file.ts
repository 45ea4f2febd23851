import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';
import type { Database, sql } from '#praefect/database/database';
import { startPostgres, type TestDatabase, withoutPostgres } from '../servers/start-postgres.ts';

/**
 * Starts a PostgreSQL for the tests of a file, unless they are skipped, and returns a function that
 * returns its database. Call it at the top of the file.
 *
 * @param reset a statement that runs before each test
 */
export function databaseOfFile(reset?: ReturnType<typeof sql>): () => Database {
  let postgres: TestDatabase | undefined;
  before(async () => {
    if (withoutPostgres === false) postgres = await startPostgres();
  });
  after(() => postgres?.[Symbol.asyncDispose]());
  if (reset !== undefined) beforeEach(() => postgres?.database.run(reset));
  return () => postgres?.database ?? assert.fail('PostgreSQL runs only during the tests');
}
