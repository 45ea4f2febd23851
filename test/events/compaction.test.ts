import assert from 'node:assert/strict';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Connection, commitFiles, type RepositoryEvent, watchEvents } from '#client/index';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { decodeEvent } from '../../src/client/watch-events.ts';
import { Replay, referencesOf } from './replay.ts';

const JOURNAL_BYTES = 65_536;
const FEED = `[events]\nenabled = true\nmax_bytes = ${JOURNAL_BYTES}\n`;
const BRANCHES = 40;
const ROUNDS = 10;
const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };

const directory = makeScratchDirectory('compaction');
let gitaly: GitalyProcess;
let connection: Connection;

before(async () => {
  gitaly = await startGitalyProcess({ directory, config: FEED });
  connection = await gitaly.connect();
  await writeMuch();
});

after(async () => {
  await connection.close();
  await gitaly[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** Moves references until their first events were compacted. */
async function writeMuch(): Promise<void> {
  const { repository: repositories, ref } = connection;
  for (const relativePath of ['a.git', 'b.git', 'gone.git'])
    await repositories.createRepository({ repository: { ...repository, relativePath } });
  const fields = { repository, user: USER, branchName: Buffer.from('main') };
  const oids: Buffer[] = [];
  for (const path of ['one', 'two']) {
    const commitMessage = Buffer.from(path);
    const update = await commitFiles(connection, { ...fields, commitMessage }, [
      { type: 'create', path, content: path },
    ]);
    oids.push(Buffer.from(update?.commitId ?? ''));
  }
  for (let round = 0; round < ROUNDS; round++) {
    const newObjectId = oids[round % 2] ?? assert.fail();
    const updates = Array.from({ length: BRANCHES }, (_, number) => ({
      reference: Buffer.from(`refs/heads/b/${number}`),
      newObjectId,
    }));
    await ref.updateReferences([{ repository, updates }]);
    if (round === 1)
      await repositories.removeRepository({ repository: { ...repository, relativePath: 'gone.git' } });
    if (round === 2)
      await repositories.renameRepository({
        repository: { ...repository, relativePath: 'b.git' },
        relativePath: 'moved.git',
      });
  }
  await ref.deleteRefs({ repository, refs: [Buffer.from('refs/heads/b/1')] });
  const journal = join(directory, 'default/+gitaly/events/journal');
  await until(() => {
    const names = readdirSync(journal);
    const segments = names.filter((name) => name.endsWith('.log'));
    const bytes = segments.reduce(
      (sum, name) => sum + (statSync(join(journal, name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
    return bytes <= JOURNAL_BYTES && names.length === segments.length + 1;
  });
}

async function assertReplayed(replay: Replay): Promise<void> {
  assert.deepEqual(replay.repositories.get('a.git'), await referencesOf(join(directory, 'default/a.git')));
  assert.deepEqual([...replay.repositories.keys()].sort(), ['a.git', 'moved.git']);
  assert.deepEqual(replay.unknown, new Set());
}

async function lastOf(): Promise<bigint> {
  const page = await connection.events.list({ storageName: 'default', limit: 1 });
  let { cursor, isEnd, compactedTo } = page;
  while (!isEnd)
    ({ cursor, isEnd, compactedTo } = await connection.events.list({
      storageName: 'default',
      after: cursor,
      compactedTo,
    }));
  return cursor;
}

test('a consumer that comes late gets the latest of each reference', async () => {
  const last = await lastOf();

  const events: RepositoryEvent[] = [];
  for await (const event of watchEvents(connection, { storageName: 'default' })) {
    events.push(event);
    if (event.sequence >= last) break;
  }

  assert.equal(events[0]?.kind, 'compacted');
  assert.ok(BigInt(events.length) < last);
  const replay = new Replay();
  for (const event of events) replay.apply(event);
  await assertReplayed(replay);
});

for (const limit of [1, 7, 1000])
  test(`pages of ${limit} events lead through compacted ones`, async () => {
    const replay = new Replay();
    let page = await connection.events.list({ storageName: 'default', limit });
    for (;;) {
      for (const event of page.events) replay.apply(decodeEvent(event));
      if (page.isEnd) break;
      const { cursor: after, compactedTo } = page;
      page = await connection.events.list({ storageName: 'default', limit, after, compactedTo });
    }

    await assertReplayed(replay);
  });

test('among compacted events there is no cursor', async () => {
  const cursors: bigint[] = [];
  for await (const { cursor } of connection.events.watch({ storageName: 'default' }))
    if (cursors.push(cursor) > 2 && cursor > 0n) break;

  const [first, compacted, end] = [cursors[0], cursors[1], cursors.at(-1)];
  assert.deepEqual([first, compacted], [0n, 0n]);
  assert.ok((end ?? 0n) > 100n);
});

test('a browser that connects again among compacted events begins again', async () => {
  await using gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    events: { storage: 'default' },
  });
  const response = await fetch(`${gateway.url}/-/events?path=a&reference=refs/heads/b/3`);
  let text = '';
  for await (const bytes of response.body ?? []) {
    text += Buffer.from(bytes).toString();
    if (text.includes('refs/heads/b/3')) break;
  }

  const blocks = text.split('\n\n').filter((block) => block.includes('event:'));
  assert.match(blocks[0] ?? '', /^id: 0\nevent: compacted\n/);
  assert.match(blocks[1] ?? '', /^id: 0\nevent: created\n.*"sequence":1,/s);
});

test('a cursor whose events were compacted is refused, and so are pages of another compaction', async () => {
  // A server that has just recorded them has them in memory.
  await connection.close();
  await gitaly[Symbol.asyncDispose]();
  gitaly = await startGitalyProcess({ directory, config: FEED });
  connection = await gitaly.connect();
  const { events } = connection;
  const page = await events.list({ storageName: 'default', limit: 2 });

  const old = { storageName: 'default', after: page.cursor };
  const refused = { code: 'OUT_OF_RANGE' };
  await assert.rejects(events.list(old), refused);
  await assert.rejects(Array.fromAsync(events.watch(old)), refused);
  await assert.rejects(events.list({ ...old, compactedTo: page.compactedTo - 1n }), refused);
  await assert.rejects(Array.fromAsync(watchEvents(connection, old)), refused);
});
