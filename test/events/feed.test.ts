import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { commitFiles, gitalyServers, type RepositoryEvent, watchEvents } from '#client/index';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { Replay, referencesOf } from './replay.ts';

const FEED = { config: { events: { enabled: true } } };
const target = (relativePath: string) => ({
  storageName: 'default',
  relativePath,
  glRepository: 'project-1',
});

/** Collects the events of a server from the first on. */
function collecting(context: TestContext, { connection }: TestGitaly, options = {}): RepositoryEvent[] {
  const events: RepositoryEvent[] = [];
  const ending = new AbortController();
  const reading = (async () => {
    const { signal } = ending;
    try {
      for await (const event of watchEvents(connection, { storageName: 'default', signal, ...options }))
        events.push(event);
    } catch (error) {
      if (connection.state !== 'shutdown') throw error; // tests close it before their hooks run
    }
  })();
  context.after(async () => {
    ending.abort();
    await reading;
  });
  return events;
}

const brief = ({ kind, relativePath, reference, oldValue, newValue }: RepositoryEvent): string =>
  [kind, relativePath, reference, oldValue?.slice(0, 20) ?? '-', newValue?.slice(0, 20) ?? '-'].join(' ');

async function commitTo(gitaly: TestGitaly, path: string, branch: string, content: string): Promise<string> {
  const update = await commitFiles(
    gitaly.connection,
    {
      repository: target(path),
      user: USER,
      branchName: Buffer.from(branch),
      commitMessage: Buffer.from(content),
    },
    [{ type: 'create', path: `${branch}-${content}`, content }],
  );
  return update?.commitId ?? '';
}

test('the events of a life are those of git', async (context) => {
  await using gitaly = await startGitaly(FEED);
  const events = collecting(context, gitaly);
  const { repository, ref } = gitaly.connection;

  await repository.createRepository({ repository: target('a.git') });
  const first = await commitTo(gitaly, 'a.git', 'main', 'one');
  const second = await commitTo(gitaly, 'a.git', 'main', 'two');
  await repository.writeRef({
    repository: target('a.git'),
    ref: Buffer.from('refs/heads/side'),
    revision: Buffer.from(first),
  });
  await repository.writeRef({
    repository: target('a.git'),
    ref: Buffer.from('HEAD'),
    revision: Buffer.from('refs/heads/side'),
  });
  await ref.deleteRefs({ repository: target('a.git'), refs: [Buffer.from('refs/heads/main')] });
  await repository.removeRepository({ repository: target('a.git') });

  const short = (oid: string): string => oid.slice(0, 20);
  await until(() => events.at(-1)?.kind === 'removed');
  assert.deepEqual(events.map(brief), [
    'created a.git  - -',
    'reference a.git HEAD - ref: refs/heads/main',
    `reference a.git refs/heads/main - ${short(first)}`,
    `reference a.git refs/heads/main ${short(first)} ${short(second)}`,
    `reference a.git refs/heads/side - ${short(first)}`,
    'reference a.git HEAD ref: refs/heads/main ref: refs/heads/side',
    `reference a.git refs/heads/main ${short(second)} -`,
    'removed a.git  - -',
  ]);
});

test('many writers, pushes and fetches: the events lead to the references', async (context) => {
  await using gitaly = await startGitaly(FEED);
  const events = collecting(context, gitaly);
  const { repository, operation } = gitaly.connection;
  await repository.createRepository({ repository: target('a.git') });
  const base = await commitTo(gitaly, 'a.git', 'main', 'base');

  await Promise.all(
    Array.from({ length: 8 }, async (_, writer) => {
      for (let number = 0; number < 5; number++)
        await commitTo(gitaly, 'a.git', `branch-${writer}`, `${number}`);
      await operation.userDeleteBranch({
        repository: target('a.git'),
        user: USER,
        branchName: Buffer.from(`branch-${writer}`),
      });
      for (const branch of ['shared', `last-${writer}`])
        await repository.writeRef({
          repository: target('a.git'),
          ref: Buffer.from(`refs/heads/${branch}`),
          revision: Buffer.from(base),
        });
    }),
  );
  await repository.fetchSourceBranch(
    {
      repository: target('a.git'),
      sourceRepository: target('a.git'),
      sourceBranch: Buffer.from('main'),
      targetRef: Buffer.from('refs/tmp/fetched'),
    },
    { metadata: gitalyServers({ default: { address: gitaly.address } }) },
  );

  const replay = new Replay();
  let applied = 0;
  const expected = await referencesOf(join(gitaly.storagePath(), 'a.git'));
  await until(() => {
    for (; applied < events.length; applied++) replay.apply(events[applied] as RepositoryEvent);
    return replay.repositories.get('a.git')?.size === expected.size;
  });
  assert.deepEqual(replay.repositories.get('a.git'), expected);
  assert.deepEqual(replay.unknown, new Set());
  const own = events.filter(({ reference }) => /branch-0$/.test(String(reference)));
  assert.equal(own.length, 6, 'five commits and the deletion');
});

test('a push over HTTP and one of many references are events', async (context) => {
  await using gitaly = await startGitaly(FEED);
  const events = collecting(context, gitaly, { referencePattern: 'refs/heads/**' });
  await gitaly.connection.repository.createRepository({ repository: target('a.git') });
  const work = join(gitaly.directory, 'work');
  await runGit(['init', '-q', '-b', 'main', work]);
  await runGit(['-C', work, 'commit', '-q', '--allow-empty', '-m', 'one']);
  for (let number = 0; number < 50; number++) await runGit(['-C', work, 'branch', `b/${number}`]);

  const gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
  });
  context.after(() => gateway.close());

  const push = (...refs: string[]) => runGit(['-C', work, 'push', '-q', `${gateway.url}/a.git`, ...refs]);
  await push('main', 'refs/heads/b/*:refs/heads/b/*', 'HEAD:refs/tags/not-wanted');
  await push(':refs/heads/b/7');

  await until(() => events.filter(({ kind }) => kind === 'reference').length === 52);
  const oid = await runGit(['-C', work, 'rev-parse', 'HEAD']);
  const replay = new Replay();
  for (const event of events) replay.apply(event);
  const pushed = [...(replay.repositories.get('a.git') ?? [])];
  assert.equal(pushed.length, 50);
  for (const [name, value] of pushed) assert.deepEqual([value, name.startsWith('refs/heads/')], [oid, true]);
});

test('copies of a repository, and what they fetch, are events of each reference', async (context) => {
  await using gitaly = await startGitaly(FEED);
  const events = collecting(context, gitaly);
  const { repository, ref } = gitaly.connection;
  const servers = { metadata: gitalyServers({ default: { address: gitaly.address } }) };
  await repository.createRepository({ repository: target('a.git') });
  for (const branch of ['main', 'b/1', 'b/2']) await commitTo(gitaly, 'a.git', branch, 'one');

  await repository.createFork({ repository: target('fork.git'), sourceRepository: target('a.git') }, servers);
  const bundleOf = async function* (path: string) {
    yield { repository: target(path) };
    for await (const { data } of repository.createBundle({ repository: target('a.git') })) yield { data };
  };
  await repository.createRepositoryFromBundle(bundleOf('bundle.git'));
  await commitTo(gitaly, 'a.git', 'b/3', 'two');
  await ref.deleteRefs({ repository: target('a.git'), refs: [Buffer.from('refs/heads/b/1')] });
  await repository.fetchBundle(bundleOf('fork.git'));

  const paths = ['a.git', 'fork.git', 'bundle.git'];
  const expected = await Promise.all(paths.map((path) => referencesOf(join(gitaly.storagePath(), path))));
  const replay = new Replay();
  let applied = 0;
  await until(() => {
    for (; applied < events.length; applied++) replay.apply(events[applied] as RepositoryEvent);
    return isDeepStrictEqual(
      paths.map((path) => replay.repositories.get(path)),
      expected,
    );
  });
  assert.deepEqual(replay.unknown, new Set());
});

test('a move is one event, and the references stay', async (context) => {
  await using gitaly = await startGitaly(FEED);
  const events = collecting(context, gitaly);
  const { repository } = gitaly.connection;
  await repository.createRepository({ repository: target('a.git') });
  await commitTo(gitaly, 'a.git', 'main', 'one');

  await repository.renameRepository({ repository: target('a.git'), relativePath: 'group/b.git' });

  await until(() => events.at(-1)?.kind === 'renamed');
  const { relativePath, previousPath } = events.at(-1) ?? {};
  assert.deepEqual([relativePath, previousPath], ['group/b.git', 'a.git']);
});

test('a repository that replaces another begins anew', async (context) => {
  await using gitaly = await startGitaly(FEED);
  const events = collecting(context, gitaly);
  const { repository } = gitaly.connection;

  for (let life = 0; life < 3; life++) {
    await repository.createRepository({ repository: target('a.git') });
    await Promise.all([0, 1, 2].map((writer) => commitTo(gitaly, 'a.git', `b${writer}`, `${life}`)));
    await repository.removeRepository({ repository: target('a.git') });
  }

  await until(() => events.filter(({ kind }) => kind === 'removed').length === 3);
  const replay = new Replay();
  for (const event of events) replay.apply(event);
  const life = ['created', 'reference', 'reference', 'reference', 'reference', 'removed'];
  assert.deepEqual(
    events.map(({ kind }) => kind),
    [...life, ...life, ...life],
  );
  // HEAD and each branch are new in each life.
  assert.deepEqual(new Set(events.map(({ oldValue }) => oldValue)), new Set([undefined]));
  assert.equal(replay.repositories.size, 0);
});

test('many additions at once lose none', async (context) => {
  await using gitaly = await startGitaly(FEED);
  const events = collecting(context, gitaly);
  const paths = Array.from({ length: 40 }, (_, number) => `many/${number}.git`);

  await Promise.all(
    paths.map((path) => gitaly.connection.repository.createRepository({ repository: target(path) })),
  );

  await until(() => events.length === 2 * paths.length);
});

test('pages, cursors and filters', async () => {
  await using gitaly = await startGitaly(FEED);
  const { events, repository } = gitaly.connection;
  for (const path of ['a/1.git', 'a/2.git', 'b/1.git'])
    await repository.createRepository({ repository: target(path) });

  const page = await events.list({ storageName: 'default', limit: 2 });
  const rest = await events.list({ storageName: 'default', after: page.cursor });
  const some = await events.list({
    storageName: 'default',
    filter: { pathPrefix: 'a/', referencePattern: 'refs/**' },
  });

  assert.deepEqual([page.events.length, page.isEnd, rest.events.length, rest.isEnd], [2, false, 4, true]);
  assert.deepEqual(
    some.events.map(({ relativePath }) => relativePath),
    ['a/1.git', 'a/2.git'],
  );
  await assert.rejects(events.list({ storageName: 'default', after: 7n }), { code: 'OUT_OF_RANGE' });
  await assert.rejects(events.list({ storageName: 'none' }), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(
    events.list({ storageName: 'default', filter: { referencePattern: '*'.repeat(257) } }),
    { code: 'INVALID_ARGUMENT', message: 'reference_pattern: longer than 256 characters' },
  );
});

test('a silent feed sends heartbeats', async () => {
  await using gitaly = await startGitaly(FEED);
  const call = gitaly.connection.events.watch({ storageName: 'default', heartbeatSeconds: 1 });
  const cursors: bigint[] = [];
  for await (const { cursor, events } of call) {
    assert.deepEqual(events, []);
    if (cursors.push(cursor) === 2) break;
  }
  assert.deepEqual(cursors, [0n, 0n]);
});

test('without the setting there is no feed, and nothing of it on disk', async () => {
  await using gitaly = await startGitaly();
  await gitaly.connection.repository.createRepository({ repository: target('a.git') });

  await assert.rejects(gitaly.connection.events.list({ storageName: 'default' }), { code: 'UNIMPLEMENTED' });
  assert.equal(existsSync(join(gitaly.storagePath(), '+gitaly/events')), false);
});
