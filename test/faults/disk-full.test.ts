import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Connection } from '#client/index';
import { openDescriptors } from '#testkit/measure/process-usage';
import { initRepository } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { until } from '#testkit/until';
import { UserCommitFilesActionHeader_ActionType as Action } from '#wire/gen/operations_pb';
import { Arena, client, commit } from './arena.ts';
import { fill, mountSmall, refusal, unmount } from './small-disk.ts';

const STORAGE_BYTES = 16 * 1024 ** 2;
/** Free space for each test to fill. */
const ROOM_BYTES = 1024 ** 2;
const TOO_MUCH_BYTES = 4 * 1024 ** 2;

/** An idle server needs some forty. */
const MAX_DESCRIPTORS = 90;
const CONNECTIONS = 120;
const CALLS = 60;
const repository = { storageName: 'default', relativePath: 'kept.git' };

test('on a full disk calls fail with clear errors, nothing is lost, and later calls succeed', {
  skip: refusal(),
}, async (context) => {
  let storage = '';
  try {
    await using arena = await Arena.start({}, (directory) => {
      storage = join(directory, 'default');
      mountSmall(storage, STORAGE_BYTES);
    });
    try {
      await onFullDisk(arena, storage, (text) => context.diagnostic(text));
    } finally {
      await arena.gitaly[Symbol.asyncDispose]();
      unmount(storage);
    }
  } finally {
    if (existsSync(storage)) unmount(storage);
  }
});

async function onFullDisk(arena: Arena, storage: string, note: (text: string) => void): Promise<void> {
  const work = await arena.pushed('kept');
  const before = await arena.references('kept');
  await using connection = await arena.gitaly.connect();

  fill(storage, ROOM_BYTES);
  await commit(work, 'too much', randomFillSync(Buffer.alloc(TOO_MUCH_BYTES)));
  const push = await client(work, ['-c', 'pack.compression=0', 'push', 'origin', 'main']);
  note(`push: ${push.stderr.trim().split('\n').join(' | ')}`);
  assert.notEqual(push.code, 0);
  assert.match(push.stderr, /No space left on device|unpack-objects abnormal exit|index-pack/i);
  assert.equal(await arena.references('kept'), before);

  const failure = await codeOf(commitFile(connection, TOO_MUCH_BYTES));
  note(`UserCommitFiles: ${failure}`);
  assert.match(failure, /^(INTERNAL|RESOURCE_EXHAUSTED): /);
  assert.equal(await arena.references('kept'), before);

  fill(storage, 0);
  const created = await codeOf(connection.repository.createRepository({ repository: target('new') }));
  note(`CreateRepository: ${created}`);
  assert.match(created, /^(INTERNAL|RESOURCE_EXHAUSTED|UNKNOWN): .*(no space left|No space left)/);
  assert.equal(existsSync(arena.serverPath('new')), false);
  // reading still works
  await runGit(['clone', '-q', '--bare', arena.url('kept'), join(arena.clients, 'clone-of-full')]);

  rmSync(join(storage, 'filler'));
  await arena.settles();
  await arena.fsck('kept');
  assert.equal((await client(work, ['-c', 'pack.compression=0', 'push', '-q', 'origin', 'main'])).code, 0);
  assert.equal(await codeOf(commitFile(connection, ROOM_BYTES)), 'OK');
  assert.equal(await codeOf(connection.repository.createRepository({ repository: target('new') })), 'OK');
  await arena.fsck('kept');
  await arena.settles();
}

const target = (name: string) => ({
  storageName: 'default',
  relativePath: `${name}.git`,
  glRepository: 'project-1',
});

function commitFile(connection: Connection, bytes: number): Promise<unknown> {
  const user = {
    glId: 'user-1',
    name: Buffer.from('Ann'),
    email: Buffer.from('ann@example.com'),
    glUsername: 'ann',
  };
  const content = randomFillSync(Buffer.alloc(bytes));
  return Promise.resolve(
    connection.operation.userCommitFiles(
      (function* () {
        const header = {
          repository: target('kept'),
          user,
          branchName: Buffer.from('by-call'),
          commitMessage: Buffer.from('m'),
          startBranchName: Buffer.from('main'),
        };
        yield { userCommitFilesRequestPayload: { case: 'header' as const, value: header } };
        const file = { action: Action.CREATE, filePath: Buffer.from('by-call') };
        yield {
          userCommitFilesRequestPayload: {
            case: 'action' as const,
            value: { userCommitFilesActionPayload: { case: 'header' as const, value: file } },
          },
        };
        for (let at = 0; at < content.length; at += 128 * 1024) {
          const piece = content.subarray(at, at + 128 * 1024);
          yield {
            userCommitFilesRequestPayload: {
              case: 'action' as const,
              value: { userCommitFilesActionPayload: { case: 'content' as const, value: piece } },
            },
          };
        }
      })(),
    ),
  );
}

async function codeOf(call: PromiseLike<unknown>): Promise<string> {
  try {
    await call;
    return 'OK';
  } catch (error) {
    return error instanceof Error && 'code' in error ? `${error.code}: ${error.message}` : String(error);
  }
}

test('a server without descriptors refuses with clear errors, and serves again later', async (context) => {
  await using arena = await Arena.start({ maxDescriptors: MAX_DESCRIPTORS });
  const work = await arena.pushed('kept');
  const revision = Buffer.from('main');
  const connection = await arena.gitaly.connect();
  const find = () => connection.commit.findCommit({ repository, revision }, { timeoutMs: 20_000 });
  const { commit: found } = await find();
  await arena.settles();
  const before = openDescriptors(arena.gitaly.pid);

  const sockets: Socket[] = [];
  for (let count = 0; count < CONNECTIONS; count++) {
    const socket = connect(arena.gitaly.address.slice('unix:'.length));
    socket.on('error', () => undefined);
    sockets.push(socket.resume());
  }
  await until(
    () => openDescriptors(arena.gitaly.pid) >= MAX_DESCRIPTORS - 2,
    () => `${openDescriptors(arena.gitaly.pid)} descriptors`,
  );

  // Calls on an open connection that need processes; some with a warm pool may succeed.
  const outcomes = await Promise.all(Array.from({ length: CALLS }, (_, number) => codeOf(listed(number))));
  const pushed = await pushOnce('while none are left');
  context.diagnostic(
    `${before} descriptors when idle; calls: ` +
      `${[...new Set(outcomes.map((outcome) => outcome.replace(/\/\S*/, '…')))].join(' | ')}; push: ` +
      `${pushed.stderr.trim().split('\n')[0]}`,
  );
  for (const outcome of outcomes)
    assert.match(outcome, /^(OK|(INTERNAL|UNAVAILABLE|RESOURCE_EXHAUSTED): .*too many open files)/);
  assert.notEqual(pushed.code, 0);

  for (const socket of sockets) socket.destroy();
  await arena.releases(before + 2);
  assert.equal((await find()).commit?.id, found?.id);
  assert.equal((await pushOnce('again')).code, 0);
  await arena.fsck('kept');
  await connection.close();

  /** Lists a repository for which there is no process yet. */
  async function listed(number: number): Promise<unknown> {
    const relativePath = `other-${number}.git`;
    initRepository(arena.serverPath(`other-${number}`), { commits: 1 });
    return await connection.commit.findCommit(
      { repository: { storageName: 'default', relativePath }, revision },
      { timeoutMs: 20_000 },
    );
  }

  async function pushOnce(message: string) {
    await commit(work, message, `${message}\n`);
    return await client(work, ['push', '-q', 'origin', 'main']);
  }
});
