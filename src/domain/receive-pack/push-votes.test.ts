import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { standAloneApi } from '../gitlab-api/stand-alone-api.ts';
import type { HookCall } from '../hooks/hook-call.ts';
import { HookManager } from '../hooks/hook-manager.ts';
import type { RelayedHook } from '../hooks/hooks-directories.ts';
import { Voter } from '../transactions/voter.ts';
import { PushVotes } from './push-votes.ts';

const { signal } = new AbortController();
const ZEROS = '0'.repeat(40);

const fixture = await StorageFixture.create();
after(() => fixture[Symbol.asyncDispose]());
let count = 0;

interface Setting {
  readonly started?: readonly RelayedHook[];
  readonly areBatched?: boolean;
}

/** A push to a new repository, with the hooks that were called. */
function start({ started = [], areBatched = false }: Setting = {}) {
  const repository: Repository = fixture.init(`${count++}.git`, { commits: 1 });
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  const called: string[] = [];
  const manager = new HookManager({
    storages: fixture.storages,
    api: standAloneApi,
    voter: new Voter({ connect: () => ({ vote: async () => 'commit', stop: async () => {} }) }),
    customHooksDirectory: '',
    observe: (hook) => {
      called.push(hook);
      return undefined;
    },
  });
  const call: HookCall = {
    repository,
    payload: {
      repository: repository.target,
      objectFormat: 'sha1',
      transaction: { id: 7n, node: 'gitaly-1', primary: true, backchannelId: 3 },
      user: { userId: 'user-7', username: 'bob', protocol: 'http', remoteIp: '' },
      clientContext: undefined,
    },
    environment: {},
    pushOptions: [],
    output: { stdout: async () => {}, stderr: async () => {} },
    signal,
    correlationId: '',
  };
  const votes = new PushVotes({ manager, isStarted: (hook) => started.includes(hook), areBatched });
  const line = (name: string): string => `${ZEROS} ${oid} refs/heads/${name}\n`;
  votes.allowed(call, Buffer.from(['a', 'b', 'c'].map(line).join('')));
  return {
    votes,
    called,
    prepare: (...names: string[]) =>
      votes.beforePrepared(call, Buffer.from(names.map((name) => line(name)).join(''))),
    commit: async (name: string): Promise<void> => {
      fixture.runGit(repository.path, ['update-ref', `refs/heads/${name}`, oid]);
      await votes.committed(call, Buffer.from(line(name)));
    },
    refuse: (name: string) => votes.committed(call, Buffer.from(line(name))),
  };
}

test('hooks that git does not start vote before each transaction, and at the end of a change', async () => {
  const { called, commit, prepare, votes } = start();

  await prepare('a');
  await prepare('a');
  assert.deepEqual(called, ['update']);
  await commit('a');
  await votes.ended(signal);

  assert.deepEqual(called, ['update', 'update', 'update', 'post-receive']);
});

test('a push that changes nothing has no vote at its end', async () => {
  const { called, prepare, refuse, votes } = start();

  await prepare('a', 'b', 'c');
  await refuse('a');
  await votes.ended(signal);

  assert.deepEqual(called, ['update', 'update', 'update']);
});

test('a batch has the votes of all its changes first', async () => {
  const { called, prepare } = start({ areBatched: true });

  await prepare('a');

  assert.deepEqual(called, ['update', 'update', 'update']);
});

test('hooks that git starts vote themselves', async () => {
  for (const [started, expected] of [
    [['update'], ['post-receive']],
    [['post-receive'], ['update', 'update', 'update']],
  ] as const) {
    const { called, commit, prepare, votes } = start({ started });
    await prepare('a');
    await commit('a');

    await votes.ended(signal);

    assert.deepEqual(called, expected);
  }
});
