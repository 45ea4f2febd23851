import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { type Connection, commitFiles } from '#client/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { decodeEvent } from '../../src/client/watch-events.ts';
import { fill, mountSmall, refusal, unmount } from '../faults/small-disk.ts';
import { Replay, referencesOf } from './replay.ts';

const DISK_BYTES = 32 * 1024 ** 2;
/** From nothing at all to enough for a commit, but not for its intent or event. */
const FREE_BYTES = [0, 4096, 8192, 12_288, 16_384, 24_576, 32_768, 49_152];
const FEED_BYTES = 256 * 1024;
/** More than the last page of the journal has space for. */
const EVENTS = 60;
const REPOSITORY = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };
const FEED = '[events]\nenabled = true\n';

async function commit(connection: Connection, branch: string, path: string): Promise<unknown> {
  const fields = { branchName: Buffer.from(branch), commitMessage: Buffer.from(path) };
  const start = branch !== 'main' && { startBranchName: Buffer.from('main') };
  return await commitFiles(connection, { repository: REPOSITORY, user: USER, ...fields, ...start }, [
    { type: 'create', path, content: path },
  ]);
}

/** Writes on a disk that is full at one place or another; calls may fail. @returns the number that did not. */
async function writeOnFullDisk(connection: Connection, storage: string, round: number): Promise<number> {
  let done = 0;
  for (const free of FREE_BYTES) {
    fill(storage, free);
    const results = await Promise.allSettled([
      commit(connection, `b/${round}/${free}`, `f${round}-${free}`),
      connection.repository.writeRef({
        repository: REPOSITORY,
        ref: Buffer.from(`refs/heads/w/${round}/${free}`),
        revision: Buffer.from('refs/heads/main'),
      }),
      connection.ref.deleteRefs({ repository: REPOSITORY, refs: [Buffer.from(`refs/heads/d/${free}`)] }),
    ]);
    done += results.filter(({ status }) => status === 'fulfilled').length;
    rmSync(join(storage, 'filler'));
  }
  return done;
}

/** @param unknown repositories whose changes may have been made while no intent could be written. */
async function assertReplayed(connection: Connection, storage: string, unknown: readonly string[] = []) {
  const expected = await referencesOf(join(storage, 'a.git'));
  let replay = new Replay();
  await until(async () => {
    replay = new Replay();
    const { events } = await connection.events.list({ storageName: 'default' });
    for (const event of events) replay.apply(decodeEvent(event));
    return isDeepStrictEqual(replay.repositories.get('a.git'), expected);
  }).catch(() => {}); // the comparison shows the difference
  const mustList = replay.unknown.difference(new Set(unknown));
  assert.deepEqual(mustList, new Set());
  if (!replay.unknown.has('a.git')) assert.deepEqual(replay.repositories.get('a.git'), expected);
}

test('events of changes on a full disk come when there is space, also after a kill', {
  skip: refusal(),
}, async () => {
  await using cleaning = new AsyncDisposableStack();
  const directory = makeScratchDirectory('full-feed');
  cleaning.defer(() => rmSync(directory, { recursive: true, force: true }));
  const storage = join(directory, 'default');
  assert.equal(mountSmall(storage, DISK_BYTES), undefined);
  cleaning.defer(() => unmount(storage));
  const gitaly = cleaning.use(await startGitalyProcess({ directory, config: FEED }));
  const connection = await gitaly.connect();
  await connection.repository.createRepository({ repository: REPOSITORY });
  await commit(connection, 'main', 'first');
  for (const free of FREE_BYTES) await commit(connection, `d/${free}`, `d${free}`);

  assert.ok((await writeOnFullDisk(connection, storage, 1)) > 0);
  await commit(connection, 'after', 'again');
  await assertReplayed(connection, storage);

  await writeOnFullDisk(connection, storage, 2);
  gitaly.kill('SIGKILL');
  await gitaly.exited;
  const again = cleaning.use(await startGitalyProcess({ directory, config: FEED }));
  await assertReplayed(await again.connect(), storage, ['a.git']);
});

test('a kill while not even an intent can be written is known after the start', {
  skip: refusal(),
}, async () => {
  await using cleaning = new AsyncDisposableStack();
  const directory = makeScratchDirectory('full-feed');
  cleaning.defer(() => rmSync(directory, { recursive: true, force: true }));
  const feed = join(directory, 'default/+gitaly/events');
  assert.equal(mountSmall(feed, FEED_BYTES), undefined);
  cleaning.defer(() => unmount(feed));
  const gitaly = cleaning.use(await startGitalyProcess({ directory, config: FEED, onLog: () => {} }));
  const connection = await gitaly.connect();
  const other = { ...REPOSITORY, relativePath: 'b.git' };
  await connection.repository.createRepository({ repository: REPOSITORY });
  await connection.repository.createRepository({ repository: other });
  await commit(connection, 'main', 'first');

  fill(feed, 0);
  for (let number = 0; number < EVENTS; number++)
    await connection.repository.writeRef({
      repository: REPOSITORY,
      ref: Buffer.from(`refs/heads/${number}`),
      revision: Buffer.from('refs/heads/main'),
    });
  gitaly.kill('SIGKILL');
  await gitaly.exited;
  rmSync(join(feed, 'filler'));
  const again = cleaning.use(await startGitalyProcess({ directory, config: FEED }));
  const restarted = await again.connect();

  const replay = new Replay();
  const { events } = await restarted.events.list({ storageName: 'default' });
  for (const event of events) replay.apply(decodeEvent(event));
  assert.deepEqual(replay.unknown, new Set(['a.git']));
  await commit(restarted, 'after', 'again');
  assert.equal(existsSync(join(feed, 'unrecorded')), false);
});

test('a feed on a full disk keeps its events, and no change fails for it', { skip: refusal() }, async () => {
  await using cleaning = new AsyncDisposableStack();
  const directory = makeScratchDirectory('full-feed');
  cleaning.defer(() => rmSync(directory, { recursive: true, force: true }));
  const storage = join(directory, 'default');
  const feed = join(storage, '+gitaly/events');
  assert.equal(mountSmall(feed, FEED_BYTES), undefined);
  cleaning.defer(() => unmount(feed));
  const log: string[] = [];
  const onLog = (text: string): unknown => log.push(text);
  const gitaly = cleaning.use(await startGitalyProcess({ directory, config: FEED, onLog }));
  const connection = await gitaly.connect();
  await connection.repository.createRepository({ repository: REPOSITORY });
  await commit(connection, 'main', 'first');

  fill(feed, 0);
  for (let number = 0; number < EVENTS; number++) {
    const ref = Buffer.from(`refs/heads/${number}`);
    await connection.repository.writeRef({ repository: REPOSITORY, ref, revision: Buffer.from('main') });
    if (number % 3 === 0) await connection.ref.deleteRefs({ repository: REPOSITORY, refs: [ref] });
  }
  const { cursor } = await connection.events.list({ storageName: 'default' });
  assert.ok(cursor < EVENTS, 'the journal is full');
  rmSync(join(feed, 'filler'));
  await commit(connection, 'after', 'again');

  await assertReplayed(connection, storage);
  assert.match(log.join(''), /the change feed could not record a change/);
});
