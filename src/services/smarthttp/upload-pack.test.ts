import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Duplex, PassThrough, Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { createSmallRepository, REPOSITORY } from '#testkit/clients/operation-fixture';
import { addCommit, gitOutput, initServed } from '#testkit/repositories/init-repository';
import { FLUSH, packet, packets } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

/**
 * Makes `r.git` with one commit on `main` that holds a file of the given size, and a hidden
 * reference to it.
 */
async function createRepository(
  gitaly: TestGitaly,
  { fileBytes = 10 } = {},
): Promise<{ path: string; oid: string }> {
  const path = join(gitaly.storagePath(), 'r.git');
  await runGit(['init', '--quiet', '--bare', '--initial-branch=main', path]);
  const blob = await runGit(['-C', path, '-c', 'core.compression=0', 'hash-object', '-w', '--stdin'], {
    input: randomBytes(fileBytes),
  });
  const tree = await runGit(['-C', path, 'mktree'], { input: `100644 blob ${blob}\tfile\n` });
  const oid = await runGit(['-C', path, 'commit-tree', '-m', 'one', tree]);
  await runGit(['-C', path, 'update-ref', 'refs/heads/main', oid]);
  await runGit(['-C', path, 'update-ref', 'refs/keep-around/x', oid]);
  return { path, oid };
}

async function sidechannelTo(gitaly: TestGitaly) {
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(gitaly.address, registry);
  const fetch = (
    body: string,
    options: { stdout?: Writable; request?: object; signal?: AbortSignal } = {},
  ) => {
    const { stdout = new PassThrough().resume(), request = {}, signal } = options;
    const io = { stdin: Readable.from([Buffer.from(body)]), stdout };
    return postUploadPack(
      connection,
      registry,
      io,
      { repository: REPOSITORY, ...request },
      signal ? { signal } : {},
    );
  };
  return { connection, fetch, [Symbol.asyncDispose]: () => connection.close() };
}

const wants = (oid: string, ...lines: string[]): string => {
  const first = packet(`want ${oid} side-band-64k no-progress ofs-delta filter agent=git/2.45\n`);
  return first + lines.map((line) => packet(`${line}\n`)).join('') + FLUSH + packet('done\n');
};

function collector(): { stream: Writable; bytes: () => Buffer } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, bytes: () => Buffer.concat(chunks) };
}

/**
 * Answers every sidechannel with the same bytes, regardless of the protocol, and keeps what
 * arrives.
 */
class StubbornRegistry extends SidechannelRegistry {
  readonly #bytes: string;
  readonly #received: Buffer[] = [];

  constructor(bytes: string) {
    super();
    this.#bytes = bytes;
  }

  override async accept(stream: Duplex): Promise<void> {
    stream.on('data', (chunk: Buffer) => this.#received.push(chunk));
    stream.write(`ok${this.#bytes}`);
    await once(stream, 'end');
    stream.end();
  }

  get received(): string {
    return Buffer.concat(this.#received).toString('latin1');
  }
}

const METADATA = { metadata: { 'gitaly-sidechannel-id': '1' } };
const overHttp = ({ smartHttp }: Connection) =>
  smartHttp.postUploadPackWithSidechannel({ repository: REPOSITORY }, METADATA);
const overSsh = ({ ssh }: Connection) =>
  ssh.sshUploadPackWithSidechannel({ repository: REPOSITORY }, METADATA);

/**
 * Expected end of each call when the client's bytes end behind a complete request: git had all it
 * needs.
 */
const ENDINGS = [
  { bytes: '0002', reason: 'sidechannel: invalid header 2' },
  { bytes: 'ffff', reason: 'pktLineSplitter: invalid length: 65535' },
];

const repository = { storageName: 'default', relativePath: 'r.git' };

test('a fetch over the sidechannel brings the pack, and the call says what was asked for', async () => {
  await using gitaly = await startGitaly();
  const { oid } = await createRepository(gitaly, { fileBytes: 3_000_000 });
  await using client = await sidechannelTo(gitaly);
  const output = collector();

  const statistics = await client.fetch(wants(oid, 'filter blob:limit=1g'), { stdout: output.stream });

  assert.ok(output.bytes().includes('PACK'));
  assert.ok(output.bytes().subarray(-4).equals(Buffer.from(FLUSH)));
  assert.deepEqual([statistics?.wants, statistics?.packets, statistics?.filter], [1n, 3n, 'blob:limit=1g']);
  assert.deepEqual(statistics?.caps, [
    'side-band-64k',
    'no-progress',
    'ofs-delta',
    'filter',
    'agent=git/2.45',
  ]);
  const line = gitaly.log.find((entry) => entry['grpc.method'] === 'PostUploadPackWithSidechannel');
  assert.deepEqual([line?.['negotiation.user_agent'], line?.['negotiation.wants']], ['git/2.45', 1]);
});

test('a client that hangs up after the list of shallow commits is OK', async () => {
  await using gitaly = await startGitaly();
  const { oid } = await createRepository(gitaly);
  await using client = await sidechannelTo(gitaly);
  const output = collector();

  const body = packet(`want ${oid} shallow\n`) + packet('deepen 1\n') + FLUSH;
  const statistics = await client.fetch(body, { stdout: output.stream });

  assert.ok(output.bytes().includes(`shallow ${oid}`));
  assert.equal(statistics?.deepen, 'deepen 1');
});

test('a request that is not understood as a whole counts for nothing, and excuses no failure', async () => {
  await using gitaly = await startGitaly();
  const { oid } = await createRepository(gitaly);
  await using client = await sidechannelTo(gitaly);
  const deepen = packet(`want ${oid} shallow\n`) + packet('deepen 1\n');

  const statistics = await client.fetch(`${deepen}${FLUSH}00`);

  assert.deepEqual(
    [statistics?.packets, statistics?.wants, statistics?.deepen, statistics?.caps],
    [0n, 0n, '', []],
  );
  await assert.rejects(client.fetch(`${deepen}${packet('have x y\n')}${FLUSH}`), {
    code: 'FAILED_PRECONDITION',
    message: 'running upload-pack: waiting for upload-pack: exit status 128',
  });
});

test('a request that git refuses fails the call; the connection lives on', async () => {
  await using gitaly = await startGitaly();
  const { oid } = await createRepository(gitaly);
  await using client = await sidechannelTo(gitaly);

  await assert.rejects(client.fetch(wants('1'.repeat(40))), {
    code: 'FAILED_PRECONDITION',
    message: 'running upload-pack: waiting for upload-pack: exit status 128',
  });
  await assert.rejects(client.fetch('not a packet'), { code: 'FAILED_PRECONDITION' });
  await assert.rejects(client.fetch(wants(oid), { request: { gitConfigOptions: ['x'] } }), {
    code: 'INVALID_ARGUMENT',
    message: 'cannot convert invalid config key: "x"',
  });
  await assert.rejects(client.fetch(wants(oid), { request: { gitConfigOptions: ['nodot=1'] } }), {
    code: 'FAILED_PRECONDITION',
    message:
      'running upload-pack: spawning upload-pack: invalid configuration key "nodot": key: key "nodot" ' +
      'must contain at least one section',
  });
  await client.fetch(wants(oid));
});

test('a hidden object can be wanted by its id', async () => {
  await using gitaly = await startGitaly();
  const { path, oid } = await createRepository(gitaly);
  await runGit(['-C', path, 'update-ref', '-d', 'refs/heads/main']);
  await using client = await sidechannelTo(gitaly);

  await client.fetch(wants(oid));
});

test('two fetches at once on one connection do not disturb each other', async () => {
  await using gitaly = await startGitaly();
  const { oid } = await createRepository(gitaly, { fileBytes: 2_000_000 });
  await using client = await sidechannelTo(gitaly);
  const outputs = Array.from({ length: 5 }, collector);

  await Promise.all(outputs.map(({ stream }) => client.fetch(wants(oid), { stdout: stream })));

  // The division of the pack into packets depends on time; the pack does not.
  const packs = outputs.map((output) =>
    Buffer.concat(
      packets(output.bytes())
        .slice(1)
        .map((data) => data.subarray(1)),
    ),
  );
  for (const pack of packs) assert.ok(pack.length > 2_000_000 && pack.equals(packs[0] ?? Buffer.alloc(0)));
});

test('a client that does not read holds git back, and one that leaves ends it', async () => {
  await using gitaly = await startGitaly();
  const { oid } = await createRepository(gitaly, { fileBytes: 30_000_000 });
  await using client = await sidechannelTo(gitaly);
  const arrived = Promise.withResolvers<void>();
  const stuck = new Writable({ highWaterMark: 1, write: () => arrived.resolve() });
  const abort = new AbortController();
  const fetching = client.fetch(wants(oid), { stdout: stuck, signal: abort.signal });
  fetching.catch(() => {});
  await arrived.promise;
  const before = process.memoryUsage().rss;
  await sleep(100); // time in which a buffer without a limit would fill
  assert.ok(process.memoryUsage().rss - before < 10_000_000);

  abort.abort();

  await assert.rejects(fetching, { code: 'CANCELLED' });
  // The end of the fixture checks that nothing of the server is left.
});

test('without a sidechannel the call says what is missing', async () => {
  await using gitaly = await startGitaly();
  await createRepository(gitaly);
  const { smartHttp, ssh } = gitaly.connection;
  const metadata = { 'gitaly-sidechannel-id': '1' };

  await assert.rejects(smartHttp.postUploadPackWithSidechannel({ repository: REPOSITORY }), {
    code: 'INTERNAL',
    message: 'open sidechannel: sidechannel: sidechannel-id not found in incoming metadata',
  });
  await assert.rejects(ssh.sshUploadPackWithSidechannel({ repository: REPOSITORY }, { metadata }), {
    code: 'INTERNAL',
    message: 'opennig sidechannel: sidechannel: fail to extract mux session: non-multiplexed connection',
  });
});

test('PostUploadPack serves the same within gRPC', async () => {
  await using gitaly = await startGitaly();
  const { oid } = await createRepository(gitaly, { fileBytes: 1_000_000 });
  const call = gitaly.connection.smartHttp.postUploadPack([
    { repository: REPOSITORY },
    { data: Buffer.from(wants(oid)) },
  ]);

  let bytes = 0;
  for await (const { data } of call) {
    assert.ok(data.length <= 128 * 1024);
    bytes += data.length;
  }

  assert.ok(bytes > 1_000);
  await assert.rejects(
    (async () => {
      for await (const _ of gitaly.connection.smartHttp.postUploadPack([
        { repository: REPOSITORY, data: Buffer.from('x') },
      ]));
    })(),
    { code: 'INVALID_ARGUMENT', message: 'non-empty Data' },
  );
});

for (const { bytes, reason } of ENDINGS) {
  test(`malformed sidechannel data does not keep git's response from its client: ${bytes}`, async () => {
    await using gitaly = await startGitaly();
    const oid = createSmallRepository(gitaly).oid;
    const request = packet(`${packet(`want ${oid} no-progress\n`)}${FLUSH}${packet('done\n')}`);

    for (const [call, outcome] of [
      [overHttp, `running upload-pack: waiting for upload-pack: ${reason}`],
      [overSsh, 'OK'],
    ] as const) {
      const registry = new StubbornRegistry(request + bytes);
      await using connection = await dialSidechannel(gitaly.address, registry);

      const ended = await call(connection).then(
        () => 'OK',
        (error: Error) => error.message,
      );

      assert.equal(ended, outcome);
      assert.match(registry.received, /PACK/);
    }
  });
}

test('where git cannot do without what did not come, its exit code is the answer', async () => {
  await using gitaly = await startGitaly();
  createSmallRepository(gitaly).oid;

  for (const [call, outcome] of [
    [
      overHttp,
      {
        code: 'FAILED_PRECONDITION',
        message: 'running upload-pack: waiting for upload-pack: exit status 128',
      },
    ],
    [overSsh, { code: 'CANCELLED', message: 'running upload-pack: user canceled the request' }],
  ] as const) {
    const registry = new StubbornRegistry('zzzz');
    await using connection = await dialSidechannel(gitaly.address, registry);

    await assert.rejects(call(connection), outcome);
  }
});

test('a fetch of protocol v0 returns every statistic of the negotiation', async () => {
  await using gitaly = await startGitaly();
  const path = initServed(gitaly, 'r.git');
  const oids = [1, 2, 3].map((number) => addCommit(path, number));
  gitOutput(path, ['config', 'uploadpack.allowFilter', 'true']);
  gitOutput(path, ['config', 'uploadpack.allowAnySHA1InWant', 'true']);
  const [first = '', second = '', third = ''] = oids;
  const lines = [
    `want ${third} filter no-progress agent=git/2.45.0\n`,
    `want ${second}\n`,
    `shallow ${first}\n`,
    'deepen 2\n',
    'filter blob:none\n',
  ];
  const haves = [`have ${first}\n`, `have ${'1'.repeat(40)}\n`];
  const request = [...lines.map(packet), FLUSH, ...haves.map(packet), packet('done\n')].join('');
  const registry = new SidechannelRegistry();
  await using connection = await dialSidechannel(gitaly.address, registry);

  const statistics = await postUploadPack(
    connection,
    registry,
    {
      stdin: Readable.from([Buffer.from(request)]),
      stdout: new Writable({ write: (_chunk, _encoding, done) => done() }),
    },
    { repository },
  );

  // `done` is no packet that counts, but its bytes do, as in Gitaly.
  const payload = [...lines, ...haves, 'done\n'].reduce((sum, line) => sum + line.trimEnd().length, 0);
  assert.deepEqual(statistics && { ...statistics, $typeName: '' }, {
    $typeName: '',
    payloadSize: BigInt(payload),
    packets: BigInt(lines.length + 1 + haves.length),
    caps: ['filter', 'no-progress', 'agent=git/2.45.0'],
    wants: 2n,
    haves: 2n,
    shallows: 1n,
    deepen: 'deepen 2',
    filter: 'blob:none',
  });
});
