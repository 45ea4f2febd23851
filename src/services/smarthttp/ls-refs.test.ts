import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { createSmallRepository, REPOSITORY } from '#testkit/clients/operation-fixture';
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import { FLUSH, packet } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const V2 = { repository: REPOSITORY, gitProtocol: 'version=2' };
/** A setting that git does not know, and of which we do not know that. */
const ASK_GIT = { gitConfigOptions: ['testing.askGit=yes'] };

const CAPABILITIES = packet('agent=git/2.45.0') + packet('object-format=sha1');
const ARGUMENTS = ['peel\n', 'symrefs\n', 'unborn\n'].map((word) => packet(word)).join('');
const LS_REFS = `${packet('command=ls-refs\n')}${CAPABILITIES}0001${ARGUMENTS}${FLUSH}`;

/** Makes `r.git` with a commit, an annotated tag and more branches. */
async function createRepository(gitaly: TestGitaly, { branches = 3 } = {}): Promise<string> {
  const { path, oid } = createSmallRepository(gitaly);
  writePackedRefs(
    path,
    Array.from({ length: branches }, (_, number) => `${oid} refs/heads/branch-number-${number}`),
  );
  await runGit(['-C', path, 'tag', '-a', '-m', 'tag', 'v1', oid]);
  await runGit(['-C', path, 'pack-refs', '--all']);
  return oid;
}

function collector(): { stream: Writable; text: () => string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString() };
}

async function sidechannelTo(gitaly: TestGitaly) {
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(gitaly.address, registry);
  const post = async (
    body: Iterable<Buffer>,
    options: { request?: object; stdout?: Writable; signal?: AbortSignal } = {},
  ) => {
    const output = collector();
    const { request = {}, stdout = output.stream, signal } = options;
    const io = { stdin: Readable.from(body), stdout };
    const statistics = await postUploadPack(
      connection,
      registry,
      io,
      { ...V2, ...request },
      signal ? { signal } : {},
    );
    return { text: output.text(), statistics };
  };
  return { connection, post, [Symbol.asyncDispose]: () => connection.close() };
}

function logged(gitaly: TestGitaly): Record<string, unknown>[] {
  return gitaly.log.filter((entry) => String(entry['grpc.method']).startsWith('PostUploadPack'));
}

test('ls-refs without a process is byte-identical to git, with the same statistics', async () => {
  await using gitaly = await startGitaly();
  await createRepository(gitaly);
  await using client = await sidechannelTo(gitaly);

  const ours = await client.post([Buffer.from(LS_REFS)]);
  const gits = await client.post([Buffer.from(LS_REFS)], { request: ASK_GIT });

  assert.match(gits.text, /HEAD symref-target:refs\/heads\/main\n.*refs\/tags\/v1 peeled:/s);
  assert.deepEqual(ours, gits);
  const [first, second] = logged(gitaly);
  assert.deepEqual([first?.['command.count'], second?.['command.count']], [undefined, 1]);
  assert.deepEqual(
    [first?.['negotiation.command'], first?.['negotiation.user_agent']],
    ['ls-refs', 'git/2.45.0'],
  );
});

test('a request that comes in small pieces is the same request', async () => {
  await using gitaly = await startGitaly();
  await createRepository(gitaly);
  await using client = await sidechannelTo(gitaly);

  const pieces = Array.from({ length: Math.ceil(LS_REFS.length / 5) }, (_, at) =>
    Buffer.from(LS_REFS.slice(at * 5, at * 5 + 5)),
  );

  assert.deepEqual(
    await client.post(pieces),
    await client.post([Buffer.from(LS_REFS)], { request: ASK_GIT }),
  );
});

test('a fetch, and what git refuses, goes to git with every byte', async () => {
  await using gitaly = await startGitaly();
  const oid = await createRepository(gitaly);
  await using client = await sidechannelTo(gitaly);
  const wants = `${packet(`want ${oid}\n`)}${packet('done\n')}`;
  const fetch = `${packet('command=fetch')}${CAPABILITIES}0001${wants}${FLUSH}`;

  const answer = await client.post([Buffer.from(fetch.slice(0, 9)), Buffer.from(fetch.slice(9))]);

  assert.match(answer.text, /packfile\n.*PACK/s);
  assert.equal(answer.statistics?.wants, 1n);
  for (const body of [LS_REFS.replace('peel', 'pill'), LS_REFS.slice(0, -4), 'garbage']) {
    await assert.rejects(client.post([Buffer.from(body)]), {
      code: 'FAILED_PRECONDITION',
      message: 'running upload-pack: waiting for upload-pack: exit status 128',
    });
  }
});

test('an empty request is answered as git answers it', async () => {
  await using gitaly = await startGitaly();
  await createRepository(gitaly);
  await using client = await sidechannelTo(gitaly);

  for (const body of [[], [Buffer.from(FLUSH)]]) {
    const [ours, gits] = await Promise.allSettled([
      client.post(body),
      client.post(body, { request: ASK_GIT }),
    ]);
    assert.deepEqual(ours, gits);
  }
});

test('PostUploadPack answers ls-refs the same way', async () => {
  await using gitaly = await startGitaly();
  await createRepository(gitaly, { branches: 4000 });
  const read = async (request: object): Promise<string> => {
    const chunks: Uint8Array[] = [];
    const requests = [{ ...V2, ...request }, { data: Buffer.from(LS_REFS) }];
    for await (const { data } of gitaly.connection.smartHttp.postUploadPack(requests)) {
      assert.ok(data.length <= 128 * 1024);
      chunks.push(data);
    }
    return Buffer.concat(chunks).toString();
  };

  const ours = await read({});

  assert.ok(ours.length > 256 * 1024);
  assert.equal(ours, await read(ASK_GIT));
});

test('a client that does not read its list and leaves ends the call', async () => {
  await using gitaly = await startGitaly();
  await createRepository(gitaly, { branches: 30_000 });
  await using client = await sidechannelTo(gitaly);
  const abort = new AbortController();
  const arrived = Promise.withResolvers<void>();
  const stuck = new Writable({ highWaterMark: 1, write: () => arrived.resolve() });
  const posting = client.post([Buffer.from(LS_REFS)], { stdout: stuck, signal: abort.signal });
  posting.catch(() => {});
  await arrived.promise;

  abort.abort();

  await assert.rejects(posting, { code: 'CANCELLED' });
  // Other requests are served, and the end of the fixture checks that nothing is left.
  assert.match((await client.post([Buffer.from(LS_REFS)])).text, /0000$/);
});

test('a client that never finishes its request and leaves ends the call', async () => {
  await using gitaly = await startGitaly();
  await createRepository(gitaly);
  const abort = new AbortController();
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(gitaly.address, registry);
  const never = new Readable({ read() {} });
  never.push(Buffer.from(LS_REFS.slice(0, 40)));
  const io = { stdin: never, stdout: collector().stream };
  const posting = postUploadPack(connection, registry, io, V2, { signal: abort.signal });
  posting.catch(() => {});
  await until(() => never.readableLength === 0); // all is sent

  abort.abort();

  await assert.rejects(posting, { code: 'CANCELLED' });
  await connection.close();
});
