import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { sql } from '#praefect/database/database';
import { migrations } from '#praefect/database/migrations/migrate';
import { type PraefectTarget, runPraefect, runPraefectProgram } from '#testkit/praefect/run-praefect';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';

const skip = withoutPostgres;
const directory = makeScratchDirectory('praefect-sql');
after(() => rmSync(directory, { recursive: true }));
const LAST = migrations.at(-1)?.id ?? '';

function target(postgres: PraefectTarget['postgres']): PraefectTarget {
  const nodes = [{ address: 'unix:/run/gitaly-1.socket' }];
  return { cluster: { address: `unix:${directory}/praefect.socket`, nodes }, postgres };
}

test('sql-migrate brings the schema up, status shows it and down takes it back', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  const both = target(postgres);
  const { stdout: ping } = await runPraefectProgram(both, 'sql-ping');
  assert.equal(ping, 'praefect sql-ping: OK\n');

  const { stdout: first, code } = await runPraefect(both, 'sql-migrate', '-verbose');
  assert.equal(code, 0);
  assert.ok(first.startsWith('praefect sql-migrate: migrations to apply: 43\n\n=  20'));
  assert.match(first, /^= {2}\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d 20200109161404_hello_world: migrating$/m);
  assert.match(first, /^\t\[CREATE TABLE hello_world \(id integer\)\]$/m);
  assert.match(first, /^== \S+ 20200109161404_hello_world: applied \(.*s\)$/m);
  assert.ok(first.endsWith('\n\npraefect sql-migrate: OK (applied 43 migrations)\n'));
  const { stdout: second } = await runPraefect(both, 'sql-migrate');
  assert.equal(second, 'praefect sql-migrate: all migrations are up\n');

  const { stdout: plan } = await runPraefect(both, 'sql-migrate-down', '1');
  assert.equal(plan, `DRY RUN -- would roll back:\n\n- ${LAST}\n\nTo apply these migrations run with -f\n`);
  const { stdout: down } = await runPraefect(both, 'sql-migrate-down', '-f=true', '1');
  assert.equal(down, 'OK (applied 1 "down" migrations)\n');
  const { stdout: status } = await runPraefect(both, 'sql-migrate-status');
  const rows = status.split('\n').filter((line) => line.startsWith('│'));
  assert.match(rows[0] ?? '', /^│ +MIGRATION +│ +APPLIED +│$/);
  assert.match(rows[1] ?? '', /^│ 20200109161404_hello_world +│ \d{4}-.* \+0000 UTC │$/);
  assert.match(rows.at(-1) ?? '', new RegExp(`^│ ${LAST} +│ no +│$`));
});

// Born failing: it made the tables, and only the server refused the database.
test('sql-migrate refuses a database that stores no UTF-8', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  await postgres.database.run(
    sql`CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
  );
  const both = target({ config: { ...postgres.config, dbname: 'bytes' } });
  const { code, stderr } = await runPraefect(both, 'sql-migrate');
  await postgres.database.run(sql`DROP DATABASE bytes`);
  assert.equal(code, 1);
  assert.match(stderr, /^the encoding of the database is SQL_ASCII, but Praefect needs UTF8/m);
});

test('wrong invocations are explained', { skip }, async () => {
  const nowhere = target({ config: { host: directory, user: '', dbname: '' } });
  for (const [args, text] of [
    [['sql-ping', 'x'], "sql-ping doesn't accept positional arguments\n"],
    [['sql-migrate-down'], 'sql-migrate-down requires a single positional argument\n'],
    [['sql-migrate-down', '1', '2'], 'sql-migrate-down accepts only single positional argument\n'],
    [['sql-migrate-down', '0'], 'number of migrations to roll back must be 1 or more\n'],
    [['sql-migrate-down', '-f=false', 'x'], 'strconv.Atoi: parsing "x": invalid syntax\n'],
    [['sql-migrate', '-ignore-unknown', 'x'], "sql-migrate doesn't accept positional arguments\n"],
  ] as const) {
    const { stderr, code } = await runPraefect(nowhere, ...args);
    assert.equal(stderr, text);
    assert.equal(code, 1);
  }
  const { stderr, code } = await runPraefect(nowhere, 'sql-ping');
  assert.match(stderr, /^sql open: send ping: .*ENOENT/);
  assert.equal(code, 1);
  const { stdout: checked } = await runPraefect(nowhere, 'check', '-q');
  assert.match(checked, /^Checking praefect migrations...Failed \(fatal\) error: send ping: /);
  assert.match(checked, /write...Failed \(fatal\) error: error opening database connection: send ping: /);
});
