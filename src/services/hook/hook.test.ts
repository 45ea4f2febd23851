import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { createSmallRepository, REPOSITORY, writeScript } from '#testkit/clients/operation-fixture';
import { packets } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { startInternalApi } from '#testkit/servers/internal-api';
import { startVotingServer } from '#testkit/servers/voting-server';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { hooksPayload } from '#testkit/values/hooks-payload';
import { ReferenceTransactionHookRequest_State as State } from '#wire/gen/hook_pb';

const ZERO = '0'.repeat(40);

async function collect(
  messages: AsyncIterable<{
    stdout: Uint8Array;
    stderr: Uint8Array;
    exitStatus?: { value: number } | undefined;
  }>,
) {
  const result = { stdout: '', stderr: '', exitStatus: [] as number[] };
  for await (const message of messages) {
    result.stdout += Buffer.from(message.stdout).toString();
    result.stderr += Buffer.from(message.stderr).toString();
    if (message.exitStatus !== undefined) result.exitStatus.push(message.exitStatus.value);
  }
  return result;
}

const repository = { storageName: 'default', relativePath: 'r.git', glRepository: 'p', glProjectPath: 'g/p' };
/** Longer than the server needs to see that the socket has gone. */
const SETTLE_MS = 100;

async function createRepository(gitaly: TestGitaly): Promise<string> {
  const path = join(gitaly.storagePath(), 'r.git');
  await runGit(['init', '--quiet', '--bare', '--initial-branch=main', path]);
  // More than the buffer of a socket, so that the server still writes when the hook has ended.
  const blob = await runGit(['-C', path, 'hash-object', '-w', '--stdin'], {
    input: randomBytes(3_000_000),
  });
  return blob;
}

async function callWith(gitaly: TestGitaly, onSocket: (socket: Socket) => void): Promise<string> {
  const path = join(gitaly.directory, 'hook/sidechannel');
  mkdirSync(dirname(path));
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const payload = hooksPayload({ requestedHooks: 0, repository, user: undefined });
  try {
    return await gitaly.connection.hook
      .packObjectsHookWithSidechannel(
        {
          repository,
          args: ['pack-objects', '--revs', '--stdout', '--thin'],
          environmentVariables: [payload],
        },
        { metadata: { 'gitaly-sidechannel-socket': path }, timeoutMs: 10_000 },
      )
      .then(
        () => 'OK',
        (error: Error) => error.message,
      );
  } finally {
    server.close();
  }
}

test('a refusal longer than a message comes in several, each with the exit status', async () => {
  await using api = await startInternalApi();
  await using gitaly = await startGitaly({ internalApi: api });
  createSmallRepository(gitaly, randomBytes(500_000));
  const message = 'x'.repeat(300_000);
  api.reset({ '/allowed': [200, { status: false, message }] });

  const call = gitaly.connection.hook.preReceiveHook([
    { repository: REPOSITORY, environmentVariables: [hooksPayload()] },
    { stdin: Buffer.from('change\n') },
  ]);
  const { stderr, exitStatus } = await collect(call);

  assert.equal(stderr, `GitLab: ${message}`);
  assert.deepEqual(exitStatus, [1, 1, 1]);
});

test('a script that prints more than its reader takes waits, and one whose reader leaves ends', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  createSmallRepository(gitaly, randomBytes(500_000));
  writeScript(join(gitaly.directory, 'custom_hooks/pre-receive.d/1'), 'cat >/dev/null; yes');

  const call = gitaly.connection.hook.preReceiveHook([
    { repository: REPOSITORY, environmentVariables: [hooksPayload()] },
    { stdin: Buffer.from('change\n') },
  ]);
  for await (const { stdout } of call) {
    assert.equal(Buffer.from(stdout.subarray(0, 4)).toString(), 'y\ny\n');
    break;
  }
  // The end of the fixture waits for all running tasks of the server.
});

test('every script gets the whole input, also one after a script that read none of it', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  createSmallRepository(gitaly, randomBytes(500_000));
  const changes = Array.from({ length: 20_000 }, (_, index) => `${ZERO} ${ZERO} refs/heads/${index}\n`).join(
    '',
  );
  writeScript(join(gitaly.directory, 'custom_hooks/post-receive.d/1'), 'exec <&-; echo first');
  writeScript(join(gitaly.directory, 'custom_hooks/post-receive.d/2'), 'wc -l');

  const half = changes.length / 2;
  const requests = [
    { repository: REPOSITORY, environmentVariables: [hooksPayload()] },
    { stdin: Buffer.from(changes.slice(0, half)) },
    { stdin: Buffer.from(changes.slice(half)) },
  ];
  const { stdout, exitStatus } = await collect(gitaly.connection.hook.postReceiveHook(requests));

  assert.deepEqual([stdout, exitStatus], ['first\n20000\n', [0]]);
});

test('without GitLab a hook needs no name of the project', async () => {
  await using gitaly = await startGitaly();
  createSmallRepository(gitaly, randomBytes(500_000));
  const repository = { storageName: 'default', relativePath: 'r.git' };

  const call = gitaly.connection.hook.preReceiveHook([
    { repository, environmentVariables: [hooksPayload()] },
    { stdin: Buffer.from('change\n') },
  ]);

  assert.deepEqual(await collect(call), { stdout: '', stderr: '', exitStatus: [0] });
});

test('an update needs a reference and two ids', async () => {
  await using gitaly = await startGitaly();
  const { oid } = createSmallRepository(gitaly, randomBytes(500_000));
  const change = { ref: Buffer.from('refs/heads/x'), oldValue: ZERO, newValue: oid };
  const update = (values: Partial<typeof change>) => {
    const environmentVariables = [hooksPayload()];
    return collect(
      gitaly.connection.hook.updateHook({
        repository: REPOSITORY,
        environmentVariables,
        ...change,
        ...values,
      }),
    );
  };

  assert.deepEqual((await update({})).exitStatus, [0]);
  assert.deepEqual((await update({ ref: Buffer.from('x') })).exitStatus, [0]);
  for (const [values, message] of [
    [{ ref: Buffer.alloc(0) }, /^hook got no reference/],
    [{ oldValue: 'x' }, /^hook got invalid old value: /],
    [{ newValue: '' }, /^hook got invalid new value: /],
  ] as const)
    await assert.rejects(update(values), { code: 'INTERNAL', message });
});

test('hooks vote over the connection that the payload names', async () => {
  await using gitaly = await startGitaly();
  createSmallRepository(gitaly, randomBytes(500_000));
  await using voting = await startVotingServer(gitaly.address);
  // The first multiplexed connection of this server has number 1.
  const transaction = { id: 3n, node: 'n', primary: true, backchannelId: 1 };
  const environmentVariables = [hooksPayload({ transaction })];
  const vote = async (state: State, stdin: string) => {
    const requests = [{ repository: REPOSITORY, environmentVariables, state }, { stdin: Buffer.from(stdin) }];
    for await (const _ of voting.connection.hook.referenceTransactionHook(requests));
  };

  await vote(State.PREPARED, `${ZERO} ${ZERO} refs/heads/gone\n`);
  assert.deepEqual(voting.votes, []);
  await vote(State.PREPARED, `${ZERO} ${'1'.repeat(40)} refs/heads/x\n`);
  assert.equal(voting.votes.length, 1);
  voting.decide = () => 'ABORT';
  await assert.rejects(vote(State.COMMITTED, `${ZERO} ${'1'.repeat(40)} refs/heads/x\n`), {
    code: 'ABORTED',
  });
  voting.decide = () => 'STOP';
  await assert.rejects(vote(State.PREPARED, `${ZERO} ${'1'.repeat(40)} refs/heads/x\n`), {
    code: 'FAILED_PRECONDITION',
    message: 'reference-transaction hook: error voting on transaction: transaction was stopped',
  });
});

test('a pack is made for a hook that waits on its socket', async () => {
  await using gitaly = await startGitaly();
  const { path, oid } = createSmallRepository(gitaly, randomBytes(500_000));
  const socketPath = join(gitaly.directory, 'sidechannel');
  const answers: Promise<Buffer>[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    answers.push(buffer(socket));
    socket.end(`${oid}\n`);
  }).listen(socketPath);
  try {
    const request = {
      repository: REPOSITORY,
      args: ['pack-objects', '--revs', '--stdout', '--progress'],
      environmentVariables: [hooksPayload()],
    };
    const metadata = { 'gitaly-sidechannel-socket': socketPath };

    await gitaly.connection.hook.packObjectsHookWithSidechannel(request, { metadata });

    const bands = packets((await answers[0]) ?? Buffer.alloc(0));
    const pack = Buffer.concat(bands.filter((data) => data[0] === 1).map((data) => data.subarray(1)));
    const progress = Buffer.concat(bands.filter((data) => data[0] === 2)).toString();
    assert.match(progress, /Total 3/);
    const index = join(gitaly.directory, 'x.pack');
    writeFileSync(index, pack);
    assert.match(
      await runGit(['-C', path, 'index-pack', '--stdin'], { input: pack }),
      /^pack\t[0-9a-f]{40}$/,
    );

    const failing = gitaly.connection.hook.packObjectsHookWithSidechannel(
      { ...request, args: ['pack-objects', '--stdout', '--no-such'] },
      { metadata },
    );
    await assert.rejects(failing, (error: Error) =>
      /^pack objects hook: git-pack-objects: stderr: ".*" err: exit status 129$/s.test(error.message),
    );
  } finally {
    server.close();
  }
});

test('PackObjectsHook makes a pack within gRPC', async () => {
  await using gitaly = await startGitaly();
  const { oid } = createSmallRepository(gitaly, randomBytes(500_000));
  const requests = [
    { repository: REPOSITORY, args: ['pack-objects', '--revs', '--stdout'] },
    { stdin: Buffer.from(`${oid}\n`) },
  ];

  let pack = 0;
  for await (const { stdout } of gitaly.connection.hook.packObjectsHook(requests)) pack += stdout.length;

  assert.ok(pack > 500_000);
});

test('a kept pack is sent again, for identical arguments and objects only', async () => {
  const config = { pack_objects_cache: { enabled: true, min_occurrences: 0 } };
  await using gitaly = await startGitaly({ config });
  const { path, oid } = createSmallRepository(gitaly, randomBytes(500_000));
  const blob = await runGit(['-C', path, 'rev-parse', `${oid}:file`]);
  const ask = async (input: string, ...more: string[]) => {
    const args = ['pack-objects', '--revs', '--stdout', '--progress', ...more];
    const requests = [{ repository: REPOSITORY, args }, { stdin: Buffer.from(input) }];
    const parts: Record<'stdout' | 'stderr', Uint8Array[]> = { stdout: [], stderr: [] };
    for await (const { stdout, stderr } of gitaly.connection.hook.packObjectsHook(requests)) {
      parts.stdout.push(stdout);
      parts.stderr.push(stderr);
    }
    return { pack: Buffer.concat(parts.stdout), progress: Buffer.concat(parts.stderr).toString() };
  };
  const lines = () => gitaly.log.filter((line) => line['pack_objects_cache.key'] !== undefined);

  const [first, second] = [await ask(`${oid}\n`), await ask(`${oid}\n`)];
  await ask(`${oid}\n`, '--thin');
  await ask(`${blob}\n`);
  await until(() => lines().length === 4);

  assert.deepEqual(second, first);
  assert.match(first.progress, /Total 3/);
  assert.deepEqual(
    lines().map((line) => line['pack_objects_cache.hit']),
    ['false', 'true', 'false', 'false'],
  );
  assert.match(String(lines()[0]?.['pack_objects.compression_statistics']), /^Total 3 \(delta 0\)/);
  assert.deepEqual(
    lines().map((line) => line['trace2.hooks']),
    ['pack_objects_metrics', undefined, 'pack_objects_metrics', 'pack_objects_metrics'],
  );
  assert.ok(Number(lines()[0]?.['pack_objects.write_pack_file_ms']) >= 0);
  assert.ok(Number(lines()[0]?.['pack_objects_cache.generated_bytes']) > first.pack.length);
  assert.equal(
    lines()[0]?.['pack_objects_cache.served_bytes'],
    lines()[1]?.['pack_objects_cache.served_bytes'],
  );
});

test('the hook of an address with too many packs is refused', async () => {
  const config = {
    pack_objects_limiting: { max_concurrency: 1, max_queue_size: 1, max_queue_wait: '1ms' },
  };
  await using gitaly = await startGitaly({ config });
  const { oid } = createSmallRepository(gitaly, randomBytes(500_000));
  const metadata = { remote_ip: '192.0.2.1' };
  const ask = (depth: string) => {
    const requests = [
      { repository: REPOSITORY, args: ['pack-objects', '--revs', '--stdout', depth] },
      { stdin: Buffer.from(`${oid}\n`) },
    ];
    return gitaly.connection.hook.packObjectsHook(requests, { metadata })[Symbol.asyncIterator]();
  };
  // Its pack is longer than everything on the way to a client that does not read.
  const { path } = await createLargeBlob(gitaly);
  assert.ok(path !== '');
  const holder = ask('--all');
  assert.equal((await holder.next()).done, false);

  await assert.rejects(ask('--thin').next(), {
    code: 'RESOURCE_EXHAUSTED',
    message: 'pack objects hook: maximum time in concurrency queue reached',
  });
  await holder.return?.();
});

/** Adds 40 MB that cannot be compressed. */
async function createLargeBlob(gitaly: TestGitaly): Promise<{ path: string }> {
  const path = join(gitaly.storagePath(), 'r.git');
  const input = randomBytes(40_000_000);
  const blob = await runGit(['-C', path, 'hash-object', '-w', '--stdin'], { input });
  await runGit(['-C', path, 'update-ref', 'refs/large/blob', blob]);
  return { path };
}

// Before, the server had no listener for errors of the socket, and EPIPE ended the process.
for (const [when, onSocket] of [
  ['at once', (socket: Socket) => socket.destroy()],
  ['at once, with an end', (socket: Socket) => socket.end().destroySoon()],
  ['in the middle of its input', (socket: Socket) => socket.write('deadbeef', () => socket.destroy())],
  [
    'while it gets the pack',
    (socket: Socket, oid: string) => {
      socket.end(`${oid}\n`);
      socket.once('data', () => socket.destroy());
    },
  ],
  [
    'before it gets the pack',
    (socket: Socket, oid: string) => {
      socket.write(`${oid}\n`, () => socket.destroy());
    },
  ],
] as const) {
  test(`a hook that leaves ${when} does not end the server`, async () => {
    await using gitaly = await startGitaly();
    const oid = await createRepository(gitaly);

    const ended = await callWith(gitaly, (socket) => onSocket(socket, oid));

    // Go's words, by which clients and logs of Gitaly are searched.
    if (when === 'while it gets the pack')
      assert.match(ended, /^pack objects hook: write unix @->\/.*\/sidechannel: write: broken pipe$/);

    // An error without a listener would be thrown in this process.
    await setTimeout(SETTLE_MS);
    const { format } = await gitaly.connection.repository.objectFormat({ repository });
    assert.equal(format, 1);
  });
}
