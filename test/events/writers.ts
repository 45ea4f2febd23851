import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type Connection, commitFiles, type RepositoryEvent, watchEvents } from '#client/index';
import { USER } from '#testkit/user';
import { Replay, referencesOf } from './replay.ts';

const REPOSITORIES = ['a.git', 'b.git'];
const target = (relativePath: string) => ({
  storageName: 'default',
  relativePath,
  glRepository: 'project-1',
});
const own = (writer: number) => ({ storageName: 'default', relativePath: `own/${writer}.git` });

/** Creates the repositories of {@link writeOnce}. */
export async function createWritten(connection: Connection): Promise<void> {
  for (const relativePath of REPOSITORIES) {
    const repository = target(relativePath);
    await connection.repository.createRepository({ repository });
    await commitFiles(
      connection,
      { repository, user: USER, branchName: Buffer.from('main'), commitMessage: Buffer.from('x') },
      [{ type: 'create', path: 'first', content: 'x' }],
    );
  }
}

/** Makes a random write, one of those that move references. @returns `OK` or its code. */
export async function writeOnce(
  connection: Connection,
  writer: number,
  random: () => number,
): Promise<unknown> {
  const repository = target(REPOSITORIES[writer % REPOSITORIES.length] ?? '');
  const branch = (): Buffer => Buffer.from(`b${Math.floor(random() * 8)}`);
  const acts: (() => Promise<unknown>)[] = [
    () =>
      commitFiles(
        connection,
        { repository, user: USER, branchName: branch(), commitMessage: Buffer.from('x') },
        [{ type: 'create', path: `f${random()}`, content: 'x' }],
      ),
    () => connection.operation.userDeleteBranch({ repository, user: USER, branchName: branch() }),
    () =>
      connection.ref.deleteRefs({
        repository,
        refs: [1, 2, 3].map(() => Buffer.from(`refs/heads/${branch()}`)),
      }),
    () =>
      connection.repository.writeRef({
        repository,
        ref: Buffer.from(`refs/heads/${branch()}`),
        revision: Buffer.from('refs/heads/main'),
      }),
    () => connection.repository.createRepository({ repository: own(writer) }),
    () => connection.repository.removeRepository({ repository: own(writer) }),
  ];
  const act = acts[Math.floor(random() * acts.length)];
  return await act?.().then(
    () => 'OK',
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
  );
}

/** Reads all events, and returns what a consumer knows from them. */
export async function replayed(
  connection: Connection,
): Promise<{ readonly events: readonly RepositoryEvent[]; readonly replay: Replay }> {
  const { cursor: end } = await connection.events
    .watch({ storageName: 'default', fromNow: true })
    [Symbol.asyncIterator]()
    .next()
    .then(({ value }) => value ?? assert.fail('no cursor'));
  const replay = new Replay();
  const events: RepositoryEvent[] = [];
  for await (const event of watchEvents(connection, { storageName: 'default' })) {
    replay.apply(event);
    events.push(event);
    if (event.sequence >= end) break;
  }
  return { events, replay };
}

export interface CheckOptions {
  readonly storage: string;
  readonly writers: number;
  /** The last that a consumer has heard may be that it is to list a repository. Default false. */
  readonly mayList?: boolean;
}

/** Compares what a consumer knows with the repositories. */
export async function checkReplay(
  replay: Replay,
  connection: Connection,
  { storage, writers, mayList = false }: CheckOptions,
): Promise<void> {
  for (const path of REPOSITORIES) {
    if (mayList && replay.unknown.has(path)) continue;
    assert.equal(replay.unknown.has(path), false, `${path} is to be listed anew`);
    assert.deepEqual(replay.repositories.get(path), await referencesOf(join(storage, path)), path);
  }
  for (let writer = 0; writer < writers; writer++) {
    const repository = own(writer);
    const { exists } = await connection.repository.repositoryExists({ repository });
    assert.equal(replay.repositories.has(repository.relativePath), exists, repository.relativePath);
  }
}
