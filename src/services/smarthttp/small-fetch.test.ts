import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { REPOSITORY } from '#testkit/clients/operation-fixture';
import { commitFiles } from '#testkit/repositories/commit-files';
import { idsInPack } from '#testkit/repositories/ids-in-pack';
import { FLUSH, packet, packets } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

/** More than the window of a stream in memory (2 MiB). */
const LARGE = 3_000_000;
/** A setting that git does not know, and of which the server does not know that. */
const ASK_GIT = { gitConfigOptions: ['testing.askGit=yes'] };

/** Returns the request of a clone. */
function clone(want: string, ...more: string[]): string {
  const lines = ['no-progress', 'include-tag', 'ofs-delta', `want ${want}`, ...more, 'done'];
  const head = `${packet('command=fetch')}${packet('agent=git/2.45.0')}${packet('object-format=sha1')}`;
  return `${head}0001${lines.map((line) => packet(`${line}\n`)).join('')}${FLUSH}`;
}

/** Starts a server with `r.git`, one commit on `main`. */
async function start(config: Readonly<Record<string, unknown>> = {}) {
  const gitaly = await startGitaly({ config });
  const path = join(gitaly.storagePath(), 'r.git');
  await runGit(['init', '--quiet', '--bare', '--initial-branch=main', path]);
  const tree = await runGit(['-C', path, 'mktree'], { input: '' });
  const oid = await runGit(['-C', path, 'commit-tree', '-m', 'one', tree]);
  await runGit(['-C', path, 'update-ref', 'refs/heads/main', oid]);
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(gitaly.address, registry);
  const postTo = async (stdout: PassThrough, body: string, request: object = {}): Promise<void> => {
    const io = { stdin: Readable.from([Buffer.from(body)]), stdout };
    await postUploadPack(connection, registry, io, {
      repository: REPOSITORY,
      gitProtocol: 'version=2',
      ...request,
    }).finally(() => stdout.end());
  };
  const post = async (body: string, request: object = {}): Promise<Buffer> => {
    const stdout = new PassThrough();
    const answer = buffer(stdout);
    await postTo(stdout, body, request);
    return await answer;
  };
  const git = (...args: string[]): Promise<string> => runGit(['-C', path, ...args]);
  const idsIn = (answer: Buffer): string[] => idsInPack(packIn(answer), { directory: gitaly.directory });
  const close = async (): Promise<void> => {
    await connection.close();
    await gitaly[Symbol.asyncDispose]();
  };
  return { gitaly, path, oid, post, postTo, git, idsIn, [Symbol.asyncDispose]: close };
}

/** Returns the pack, which git cuts into packets as it reads it from a pipe. */
function packIn(answer: Buffer): Buffer {
  const bands = packets(answer).filter(([band]) => band === 1);
  return Buffer.concat(bands.map((each) => each.subarray(1)));
}

/** Returns the log lines of fetches. */
function fetches(gitaly: TestGitaly) {
  return gitaly.log.filter((entry) => String(entry['grpc.method']).startsWith('PostUploadPack'));
}

/** Returns the numbers of git processes that fetches have started. */
function started(gitaly: TestGitaly): unknown[] {
  return fetches(gitaly).map((entry) => entry['command.count']);
}

test('clones of a small repository start no process, and get the objects that git sends', async () => {
  await using server = await start();

  const first = await server.post(clone(server.oid));
  const second = await server.post(clone(server.oid));

  assert.match(first.toString('latin1'), /packfile\n.*PACK/s);
  assert.deepEqual(second, first);
  assert.deepEqual(server.idsIn(second), server.idsIn(await server.post(clone(server.oid), ASK_GIT)));
  const [one, two, three] = started(server.gitaly);
  assert.deepEqual([one, two], [undefined, undefined]);
  assert.ok(Number(three) > 0);
  const entry = server.gitaly.log.findLast(
    (each) => each['command.count'] === undefined && each['negotiation.wants'],
  );
  assert.ok(entry !== undefined, 'the statistics of an answer without git are logged');
});

test('git serves fetches that wait behind long ones, on another processor', async () => {
  await using server = await start();
  const { git, gitaly, oid, path, postTo } = server;
  const tips: string[] = [];
  for (let index = 0; index < 12; index++) {
    await git('update-ref', `refs/heads/${index}`, oid);
    tips.push(commitFiles(path, { file: randomBytes(LARGE) }, { ref: `refs/heads/${index}` }));
  }
  await git('-c', 'pack.writeReverseIndex=true', 'repack', '-adq', '--window=0'); // there are no deltas

  // Nobody reads the packs, so that each takes long.
  const slow = tips.map((tip) => {
    const stdout = new PassThrough();
    return { stdout, sent: postTo(stdout, clone(tip, `have ${oid}`)) };
  });
  for (const { stdout } of slow) await until(() => stdout.readableLength > 0, 'the beginning of a pack');
  for (const { stdout } of slow) stdout.resume();
  await Promise.all(slow.map(({ sent }) => sent));

  const reason = 'walked_packs: the event loop has others first';
  const left = fetches(gitaly).filter((entry) => String(entry['in_process.reasons']).includes(reason));
  assert.ok(left.length > 0 && left.length < tips.length, `${left.length} were left to git`);
});

test('a new tag, a new branch and a limit on the depth change the answer', async () => {
  await using server = await start();
  const { git, idsIn, oid, post } = server;
  await post(clone(oid));

  await git('tag', '-a', '-m', 'tag', 'v1', oid);
  assert.deepEqual(idsIn(await post(clone(oid))), idsIn(await post(clone(oid), ASK_GIT)));

  const next = await git('commit-tree', '-p', oid, '-m', 'two', `${oid}^{tree}`);
  await git('update-ref', 'refs/heads/main', next);
  assert.deepEqual(idsIn(await post(clone(next))), idsIn(await post(clone(next), ASK_GIT)));
  const [all, shallow] = [await post(clone(next)), await post(clone(next, 'deepen 1'))];
  assert.notDeepEqual(packIn(shallow), packIn(all));
  // The history is cut, so that its end has no parent there.
  const gits = packIn(await post(clone(next, 'deepen 1'), ASK_GIT));
  const options = { directory: server.gitaly.directory, options: [] };
  assert.deepEqual(idsInPack(packIn(shallow), options), idsInPack(gits, options));
});

test('a change of the configuration changes the answer', async () => {
  await using server = await start();
  const { git, oid, post } = server;
  const before = packIn(await post(clone(oid)));

  await git('config', 'core.compression', '0');

  const after = packIn(await post(clone(oid)));
  assert.deepEqual(after, packIn(await post(clone(oid), ASK_GIT)));
  assert.notDeepEqual(after, before);
});

// A shared answer without the new tag was repeated for five minutes.
test('an answer of the pack cache is not kept as that of a later request', async () => {
  await using server = await start({
    pack_objects_cache: { enabled: true, min_occurrences: 0, max_age: '1s' },
  });
  const { git, idsIn, oid, post } = server;
  const old = await post(clone(oid));
  await git('tag', '-a', '-m', 'tag', 'v1', oid);
  assert.deepEqual(await post(clone(oid)), old, 'the cache is allowed to be late');

  const count = idsIn(await post(clone(oid), ASK_GIT)).length;
  await until(async () => idsIn(await post(clone(oid))).length === count, 'the tag is in the answer');
});

test('settings of the request change the answer', async () => {
  await using server = await start();
  const { oid, post } = server;
  const uncompressed = { gitConfigOptions: ['core.compression=0'] };
  const before = packIn(await post(clone(oid)));

  const after = packIn(await post(clone(oid), uncompressed));
  assert.notDeepEqual(after, before);
  assert.deepEqual(packIn(await post(clone(oid))), before);
});

test('hidden tags are in packs, and a shallow repository is left to git', async () => {
  await using server = await start();
  const { git, idsIn, oid, path, post } = server;
  await git('config', 'transfer.hideRefs', 'refs/tags');
  await post(clone(oid));
  await git('tag', '-a', '-m', 'tag', 'v1', oid);
  assert.deepEqual(idsIn(await post(clone(oid))), idsIn(await post(clone(oid), ASK_GIT)));

  await git('config', '--unset', 'transfer.hideRefs');
  writeFileSync(join(path, 'shallow'), `${oid}\n`);
  for (const _ of [1, 2]) await post(clone(oid));
  assert.ok(
    started(server.gitaly)
      .slice(-2)
      .every((count) => Number(count) > 0),
  );
});

test('what only git can see is not answered from memory', async () => {
  await using server = await start();
  const { git, oid, path, post } = server;
  const hidden = await git('commit-tree', '-p', oid, '-m', 'two', `${oid}^{tree}`);
  const expected = server.idsIn(await post(clone(hidden), ASK_GIT));
  // No reference holds it.
  for (const _ of [1, 2]) assert.deepEqual(server.idsIn(await post(clone(hidden))), expected);

  await git('repack', '-adq');
  await post(clone(oid));
  renameSync(join(path, 'objects/pack'), join(path, 'objects/away'));
  await assert.rejects(post(clone(oid)), { code: 'FAILED_PRECONDITION' });
});
