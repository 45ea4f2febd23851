import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type CallError, type RepositoryEvent, watchEvents } from '#client/index';
import { Repository } from '#client/repository/index';
import { lockRepository } from '#storage/locks/repository-lock';
import { addCommit, gitOutput } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { never, until } from '#testkit/until';
import { USER } from '#testkit/user';

const FEED = { config: { events: { enabled: true } } };
const HOUR = 3600;

function open({ connection }: TestGitaly, path: string): Repository {
  const { name, email, glId, glUsername } = USER;
  const user = { id: glId, username: glUsername, name: String(name), email: String(email) };
  return new Repository(connection, { path, user });
}

async function eventsOf({ connection }: TestGitaly): Promise<RepositoryEvent[]> {
  const events: RepositoryEvent[] = [];
  const ending = new AbortController();
  const { cursor } = await connection.events.list({ storageName: 'default' });
  for await (const event of watchEvents(connection, { storageName: 'default', signal: ending.signal })) {
    events.push(event);
    if (event.sequence === cursor) ending.abort();
  }
  return events;
}

test('at their end a repository, a fork and a reference are gone, and the feed reports it', async () => {
  await using gitaly = await startGitaly(FEED);
  const at = (path: string): string => join(gitaly.storagePath(), path);
  const kept = open(gitaly, 'kept.git');
  await kept.create();
  addCommit(at('kept.git'), 1);
  for (const branch of ['preview', 'stays', 'later']) await kept.createBranch(branch, 'main');
  await open(gitaly, 'short.git').create({ lifetimeSeconds: 1 });
  await kept.fork('fork.git', { lifetimeSeconds: 1 });

  await kept.expire(1, { reference: 'refs/heads/preview' });
  await kept.expire(HOUR, { reference: 'refs/heads/later' });
  assert.ok(existsSync(at('short.git')) && existsSync(at('fork.git')));

  await until(() => !existsSync(at('short.git')) && !existsSync(at('fork.git')));
  const branches = () => gitOutput(at('kept.git'), ['for-each-ref', '--format=%(refname:short)']);
  await until(() => !branches().includes('preview'));
  assert.equal(branches(), 'later\nmain\nstays');
  const ends = (await eventsOf(gitaly))
    .filter(({ kind, newValue }) => kind === 'removed' || (kind === 'reference' && newValue === undefined))
    .map(({ kind, relativePath, reference }) => `${kind} ${relativePath} ${reference ?? ''}`);
  assert.deepEqual(ends.sort(), [
    'reference kept.git refs/heads/preview',
    'removed fork.git ',
    'removed short.git ',
  ]);
  // Nothing is left but the note about the branch that ends later.
  await until(() => readdirSync(at('+gitaly/lifetimes')).length === 1);
});

test('an end that was moved or removed does nothing at the time before', async () => {
  await using gitaly = await startGitaly();
  const [extended, endless, control] = ['extended.git', 'endless.git', 'control.git'].map((path) =>
    open(gitaly, path),
  );
  for (const repository of [extended, endless, control]) await repository?.create({ lifetimeSeconds: 1 });

  const end = (await extended?.expire(HOUR))?.getTime() ?? 0;
  assert.ok(Math.abs(end - Date.now() - HOUR * 1000) < 60_000, `${end}`);
  assert.equal(await endless?.expire(undefined), undefined);

  await until(async () => (await control?.exists()) === false);
  assert.deepEqual([await extended?.exists(), await endless?.exists()], [true, true]);
});

test('an end moves with its repository, and ends with it', async () => {
  await using gitaly = await startGitaly();
  const { connection } = gitaly;
  await open(gitaly, 'a.git').create({ lifetimeSeconds: 2 });
  await open(gitaly, 'b.git').create({ lifetimeSeconds: 2 });
  const repository = { storageName: 'default', relativePath: 'a.git' };

  await connection.repository.renameRepository({ repository, relativePath: 'group/moved.git' });
  await open(gitaly, 'a.git').create();
  await open(gitaly, 'b.git').remove();
  await open(gitaly, 'b.git').create();

  await until(async () => !(await open(gitaly, 'group/moved.git').exists()));
  for (const path of ['a.git', 'b.git']) assert.equal(await open(gitaly, path).exists(), true, path);
});

test('a server that was killed removes later what ended meanwhile', async (context) => {
  const directory = makeScratchDirectory('lifetimes');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  await using gitaly = await startGitalyProcess({ directory });
  const connection = await gitaly.connect();
  await new Repository(connection, { path: 'a.git' }).create({ lifetimeSeconds: 1 });
  await connection.close();
  gitaly.kill('SIGKILL');
  await gitaly.exited;

  await using again = await startGitalyProcess({ directory });

  const reconnected = await again.connect();
  context.after(() => reconnected.close());
  await until(async () => !(await new Repository(reconnected, { path: 'a.git' }).exists()));
});

// The repository stayed for ever if the sweep took the note while the call waited.
test('an end is noted only when no other call holds the repository', async () => {
  await using gitaly = await startGitaly();
  const repository = open(gitaly, 'a.git');
  await repository.create();
  const notes = join(gitaly.storagePath(), '+gitaly/lifetimes');
  const storage = { name: 'default', path: gitaly.storagePath() };
  let set: Promise<unknown>;
  {
    await using _lock = await lockRepository(storage, join(gitaly.storagePath(), 'a.git'));
    set = repository.expire(1);

    await never(() => existsSync(notes) && readdirSync(notes).length > 0);
  }

  await set;
  await until(async () => !(await repository.exists()));
});

test('a draft that a killed server left is removed, a new one is not', async () => {
  await using gitaly = await startGitaly();
  const notes = join(gitaly.storagePath(), '+gitaly/lifetimes');
  mkdirSync(notes, { recursive: true });
  const [old, fresh] = ['a', 'b'].map((id) => `${'0'.repeat(12)}-${id.repeat(32)}.draft-${id}.machine.1.1`);
  for (const draft of [old, fresh]) writeFileSync(join(notes, draft ?? ''), 'a.git');
  utimesSync(join(notes, old ?? ''), 1, 1);

  await until(() => !readdirSync(notes).includes(old ?? ''));
  assert.deepEqual(readdirSync(notes), [fresh]);
});

test('what cannot have an end is refused', async () => {
  await using gitaly = await startGitaly();
  const repository = open(gitaly, 'a.git');
  await repository.create();
  const { lifetimes } = gitaly.connection;
  const target = { storageName: 'default', relativePath: 'a.git' };

  await assert.rejects(repository.expire(0), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(repository.expire(-5), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(repository.expire(HOUR, { reference: 'HEAD' }), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(repository.expire(HOUR, { reference: 'refs/heads/none' }), { code: 'NOT_FOUND' });
  for (const reference of ['refs/../../x', 'refs/heads/a\0b', 'refs/heads/-\n'])
    await assert.rejects(repository.expire(HOUR, { reference }), ({ code }: CallError) =>
      ['INVALID_ARGUMENT', 'NOT_FOUND'].includes(code),
    );
  for (const relativePath of ['../a.git', 'none.git', '', '+gitaly/lifetimes'])
    await assert.rejects(lifetimes.set({ ...target, relativePath, lifetime: { seconds: 9n } }), relativePath);
  await assert.rejects(lifetimes.set({ ...target, storageName: 'other' }), { code: 'INVALID_ARGUMENT' });
  assert.deepEqual((await lifetimes.list(target)).lifetimes, []);
});
