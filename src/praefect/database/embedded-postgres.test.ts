import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openTimers } from '#testkit/measure/open-timers';
import { movedClock } from '#testkit/praefect/moved-clock';
import { pidFileCommand, scriptedPostgres } from '#testkit/praefect/scripted-postgres';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { withoutOwnPostgres as skip } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { Database, sql } from './database.ts';
import { type EmbeddedPostgres, removeEmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';

const needsRoot = process.getuid?.() !== 0 && 'needs root';
const SOCKET = '.s.PGSQL.5432';
/** Commands with which a scripted server records the signals that it gets. */
const NOTED = ['INT', 'QUIT'].map((signal) => `trap 'echo ${signal} >> "$2/signals"' ${signal}`);
const REAL_LIMIT_NS = 30_000_000_000n;
const WAITS = 'while :; do sleep 0.01; done';

function scratchDirectory(context: TestContext): string {
  const directory = makeScratchDirectory('embedded-pg');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function open({ host, user }: EmbeddedPostgres): Promise<Database> {
  return await Database.open({ host, user, database: 'postgres', ssl: false, mayFallBack: false });
}

test('a server has its data again after a restart, and a socket for its own user', {
  skip,
}, async (context) => {
  const directory = scratchDirectory(context);
  const draft = join(directory, 'data.draft');
  mkdirSync(draft); // of a start that was killed
  writeFileSync(join(draft, 'half'), '');
  const first = await startEmbeddedPostgres({ directory, isDurable: false });
  assert.equal(first.host, join(directory, 'run'));
  assert.equal(statSync(join(first.host, SOCKET)).mode & 0o777, 0o700);
  {
    await using database = await open(first);
    assert.deepEqual(await database.row(sql`SHOW fsync`), { fsync: 'off' });
    assert.deepEqual(await database.row(sql`SHOW listen_addresses`), { listen_addresses: '' });
    await database.run(sql`CREATE TABLE kept ()`);
  }

  await first[Symbol.asyncDispose]();

  assert.throws(() => process.kill(first.pid, 0), { code: 'ESRCH' });
  await first[Symbol.asyncDispose]();
  // As long a path as a socket can have.
  const socketDirectory = join(directory, 'r'.repeat(107 - directory.length - 2 - SOCKET.length));
  assert.equal(join(socketDirectory, SOCKET).length, 107);
  const again = await startEmbeddedPostgres({ directory, socketDirectory, isDurable: true });
  {
    await using database = await open(again);
    assert.deepEqual(await database.row(sql`SHOW fsync`), { fsync: 'on' });
    await database.run(sql`SELECT FROM kept`);
  }
  await removeEmbeddedPostgres(again, directory);
  assert.throws(() => statSync(directory), { code: 'ENOENT' });
  const longer = { directory, socketDirectory: `${socketDirectory}r`, isDurable: false };
  await assert.rejects(startEmbeddedPostgres(longer), {
    message: `${directory}: the path is too long for a Unix socket`,
  });
});

test('a server that ends at its start is reported with what it has written', async (context) => {
  const directory = scratchDirectory(context);
  const programs = scriptedPostgres(directory, ['for i in 1 2 3; do echo "  word $i" >&2; done', 'exit 1']);

  await assert.rejects(startEmbeddedPostgres({ directory, isDurable: false, programs }), {
    message: 'PostgreSQL has not started: word 1\n  word 2\n  word 3',
  });
});

test('a program that cannot be run is reported', async (context) => {
  const directory = scratchDirectory(context);
  const programs = scriptedPostgres(directory, []);
  rmSync(join(programs, 'postgres'));

  await assert.rejects(startEmbeddedPostgres({ directory, isDurable: false, programs }), {
    message: /^PostgreSQL has not started/,
  });
});

for (const [name, lines] of [
  ['of another process', pidFileCommand('1234567', 'ready')],
  ['of a server that does not accept connections yet', pidFileCommand('$$', 'starting')],
] as const)
  test(`a pid file ${name} is waited for, for a minute`, async (context) => {
    const directory = scratchDirectory(context);
    const programs = scriptedPostgres(directory, ["trap 'exit 0' INT", lines, WAITS]);
    const started = performance.now();
    const starting = startEmbeddedPostgres({ directory, isDurable: false, programs });
    const pidFile = join(directory, 'data/postmaster.pid');
    await until(() => statSync(pidFile, { throwIfNoEntry: false }) !== undefined);
    const pass = movedClock(context);
    await pass(started);
    let hasEnded = false;
    void starting.catch(() => {}).then(() => (hasEnded = true));
    // The last look before the limit, however the clocks met.
    for (let ms = 0; ms < 55_000; ms += 500) await pass(500);
    assert.equal(hasEnded, false);

    // Reading the pid file takes real time, however far the clock is moved meanwhile.
    const limit = process.hrtime.bigint() + REAL_LIMIT_NS;
    while (!hasEnded && process.hrtime.bigint() < limit) await pass(500);
    assert.equal(hasEnded, true);

    await assert.rejects(starting, { message: 'PostgreSQL has not started: ' });
  });

test('a start that is aborted stops the server', async (context) => {
  const directory = scratchDirectory(context);
  const programs = scriptedPostgres(directory, [
    ...NOTED,
    'trap \'echo INT >> "$2/signals"; exit 0\' INT',
    'touch "$2/begun"',
    WAITS,
  ]);
  const abort = new AbortController();
  const starting = startEmbeddedPostgres({ directory, isDurable: false, programs, signal: abort.signal });
  starting.catch(() => {}); // awaited below
  await until(() => statSync(join(directory, 'data/begun'), { throwIfNoEntry: false }) !== undefined);

  abort.abort();

  await assert.rejects(starting, { message: 'PostgreSQL has not started: ' });
  assert.equal(readFileSync(join(directory, 'data/signals'), 'utf8'), 'INT\n');
  rmSync(join(directory, 'data/begun'));
  const again = startEmbeddedPostgres({ directory, isDurable: false, programs, signal: abort.signal });
  await assert.rejects(again, { name: 'AbortError' });
  assert.equal(statSync(join(directory, 'data/begun'), { throwIfNoEntry: false }), undefined);
});

test('a stop that has not ended after 30 seconds writes nothing more', async (context) => {
  const directory = scratchDirectory(context);
  const programs = scriptedPostgres(directory, [
    ...NOTED,
    "trap 'exit 0' QUIT",
    pidFileCommand('$$', 'ready'),
    WAITS,
  ]);
  const server = await startEmbeddedPostgres({ directory, isDurable: false, programs });
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const stopping = server[Symbol.asyncDispose]();
  context.mock.timers.tick(29_999);
  const signals = join(directory, 'data/signals');
  await until(() => statSync(signals, { throwIfNoEntry: false })?.size === 4);
  process.kill(server.pid, 0);

  context.mock.timers.tick(1);

  await stopping;
  assert.equal(readFileSync(signals, 'utf8'), 'INT\n');
});

test('a stop leaves no timer', async (context) => {
  const directory = scratchDirectory(context);
  const programs = scriptedPostgres(directory, ["trap 'exit 0' INT", pidFileCommand('$$', 'ready'), WAITS]);
  const server = await startEmbeddedPostgres({ directory, isDurable: false, programs });
  const open = openTimers(context);

  await server[Symbol.asyncDispose]();

  assert.equal(open(), 0);
});

test('root is told which directories other users may not enter', { skip: needsRoot }, async (context) => {
  const directory = scratchDirectory(context);
  const inner = join(directory, 'inner');
  await assert.rejects(startEmbeddedPostgres({ directory: inner, isDurable: false, programs: '/usr/bin' }), {
    message: /^\/.*\/inner: PostgreSQL refuses to run as root, and the user \w+, .* may not enter/,
  });

  const programs = scriptedPostgres(directory, []);
  chmodSync(join(programs, 'initdb'), 0o700);
  await assert.rejects(startEmbeddedPostgres({ directory, isDurable: false, programs }), {
    message: /\/programs: PostgreSQL refuses to run as root, .* may not run the programs/,
  });
});
