import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { dialSidechannel, SidechannelRegistry, uploadPackWithSidechannel } from '#client/index';
import { createSmallRepository, REPOSITORY } from '#testkit/clients/operation-fixture';
import { nestDirectories } from '#testkit/repositories/generated/deep-trees';
import { FLUSH, packet, packets, pushBody, ZERO_OID } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

/** Makes `r.git` with one commit on `main`. */
interface Message {
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly exitStatus?: { readonly value: number } | undefined;
}

/** Returns all messages received, and the error at the end. */
async function collect(messages: AsyncIterable<Message>) {
  const result = { stdout: '', stderr: '', exitStatus: [] as number[], error: undefined as unknown };
  const stdout: Uint8Array[] = [];
  try {
    for await (const message of messages) {
      stdout.push(message.stdout);
      result.stderr += Buffer.from(message.stderr).toString();
      if (message.exitStatus !== undefined) result.exitStatus.push(message.exitStatus.value);
    }
  } catch (error) {
    result.error = error;
  }
  return { ...result, stdout: Buffer.concat(stdout) };
}

function errorOf({ error }: { error: unknown }): string {
  return error instanceof Error && 'code' in error ? `${error.code}: ${error.message}` : String(error);
}

/** Requests that never end: a client at a terminal. */
async function* halfOpen(...requests: readonly object[]): AsyncGenerator<object> {
  yield* requests;
  await new Promise(() => {});
}

const wants = (oid: string): string =>
  packet(`want ${oid} side-band-64k no-progress ofs-delta\n`) + FLUSH + packet('done\n');

async function overSidechannel(gitaly: TestGitaly, stdin: Readable, request: object = {}) {
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(gitaly.address, registry);
  const streams = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const writable = (name: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk, _encoding, done) {
        streams[name].push(Buffer.from(chunk));
        done();
      },
    });
  try {
    const io = { stdin, stdout: writable('stdout'), stderr: writable('stderr') };
    const result = await uploadPackWithSidechannel(connection, registry, io, {
      repository: REPOSITORY,
      ...request,
    });
    return {
      result,
      stdout: Buffer.concat(streams.stdout),
      stderr: Buffer.concat(streams.stderr).toString(),
    };
  } finally {
    await connection.close();
  }
}

const repository = { storageName: 'default', relativePath: 'r.git' };

test('a fetch over SSH travels in side bands, and the client need not end its half', async () => {
  await using gitaly = await startGitaly();
  const { oid } = createSmallRepository(gitaly, randomBytes(3_000_000));
  const stdin = new PassThrough();
  stdin.write(wants(oid)); // and no end

  const { result, stdout, stderr } = await overSidechannel(gitaly, stdin);

  const lines = packets(stdout);
  assert.ok(lines[0]?.toString().startsWith(`${oid} HEAD\0`));
  assert.ok(stdout.length > 3_000_000 && stdout.includes('PACK'));
  assert.equal(stderr, '');
  assert.equal(result.packfileNegotiationStatistics?.wants, 1n);
});

test('protocol v2 with nothing asked is OK, with empty statistics', async () => {
  await using gitaly = await startGitaly();
  createSmallRepository(gitaly, randomBytes(10));

  const { result, stdout } = await overSidechannel(gitaly, Readable.from([]), { gitProtocol: 'version=2' });

  assert.ok(stdout.toString().startsWith(packet('version 2\n')));
  assert.equal(result.packfileNegotiationStatistics?.packets, 0n);
});

test('failures of a fetch over SSH say what git said; a hang-up is the client’s own doing', async () => {
  await using gitaly = await startGitaly();
  createSmallRepository(gitaly, randomBytes(10));

  await assert.rejects(
    overSidechannel(gitaly, Readable.from([Buffer.from(wants('1'.repeat(40)))])),
    (error: Error & { code?: string }) => {
      return (
        error.code === 'INTERNAL' &&
        /^running upload-pack: cmd wait: exit status 128, stderr: "fatal: .*not our ref/.test(error.message)
      );
    },
  );
  await assert.rejects(overSidechannel(gitaly, Readable.from([Buffer.from('00')])), {
    code: 'CANCELLED',
    message: 'running upload-pack: user canceled the request',
  });
});

test('a client that does not say what it wants is sent away, one that has said it is not', async () => {
  await using gitaly = await startGitaly({
    config: { timeout: { upload_pack_negotiation: '300ms', upload_archive_negotiation: '300ms' } },
  });
  const { oid } = createSmallRepository(gitaly, randomBytes(10));

  const silent = await collect(gitaly.connection.ssh.sshUploadPack(halfOpen({ repository: REPOSITORY })));
  assert.equal(
    errorOf(silent),
    'DEADLINE_EXCEEDED: running upload-pack: waiting for negotiation: context canceled',
  );
  assert.deepEqual(silent.exitStatus, [0]);

  const slowAfterDone = collect(
    gitaly.connection.ssh.sshUploadPack(
      halfOpen({ repository: REPOSITORY }, { stdin: Buffer.from(wants(oid)) }),
    ),
  );
  assert.equal((await slowAfterDone).error, undefined);

  const archive = await collect(
    gitaly.connection.ssh.sshUploadArchive(
      halfOpen({ repository: REPOSITORY }, { stdin: Buffer.from('0010argument HEAD') }),
    ),
  );
  assert.equal(
    errorOf(archive),
    'DEADLINE_EXCEEDED: running upload-archive: waiting for negotiation: context canceled',
  );
  assert.deepEqual(archive.exitStatus, []);
});

test('SSHUploadPack serves within gRPC and sends an exit status only before a failure', async () => {
  await using gitaly = await startGitaly();
  const { oid } = createSmallRepository(gitaly, randomBytes(10));

  const good = await collect(
    gitaly.connection.ssh.sshUploadPack([{ repository: REPOSITORY }, { stdin: Buffer.from(wants(oid)) }]),
  );
  const bad = await collect(
    gitaly.connection.ssh.sshUploadPack([
      { repository: REPOSITORY },
      { stdin: Buffer.from(wants('1'.repeat(40))) },
    ]),
  );

  assert.deepEqual([good.error, good.exitStatus], [undefined, []]);
  assert.ok(good.stdout.includes('PACK'));
  assert.deepEqual(bad.exitStatus, [128]);
  assert.match(bad.stderr, /not our ref/);
  assert.match(errorOf(bad), /^INTERNAL: running upload-pack: cmd wait: exit status 128, stderr: /);
});

test('a push over SSH ends when git ends, whatever the client still has to say', async () => {
  await using gitaly = await startGitaly();
  const { path, oid } = createSmallRepository(gitaly, randomBytes(10));
  const first = { repository: REPOSITORY, glId: 'user-1', glUsername: 'jane' };
  const body = pushBody([`${ZERO_OID} ${oid} refs/heads/new`]);

  const { stdout, error, exitStatus } = await collect(
    gitaly.connection.ssh.sshReceivePack(halfOpen(first, { stdin: body })),
  );

  assert.deepEqual([error, exitStatus], [undefined, []]);
  assert.ok(stdout.includes('ok refs/heads/new'));
  assert.equal(await runGit(['-C', path, 'rev-parse', 'new']), oid);
});

test('an aborted push over SSH is cancelled by its client; a malformed one is an error', async () => {
  await using gitaly = await startGitaly();
  createSmallRepository(gitaly, randomBytes(10));
  const first = { repository: REPOSITORY, glId: 'user-1' };

  const ended = await collect(gitaly.connection.ssh.sshReceivePack([first]));
  const broken = await collect(
    gitaly.connection.ssh.sshReceivePack([first, { stdin: Buffer.from('zzzzzzzz') }]),
  );

  assert.deepEqual([errorOf(ended), ended.exitStatus], ['CANCELLED: user canceled the push', [128]]);
  assert.equal(ended.stderr, 'fatal: the remote end hung up unexpectedly\n');
  assert.deepEqual([errorOf(broken), broken.exitStatus], ['INTERNAL: cmd wait: exit status 128', [128]]);
});

test('git archive works over SSH', async () => {
  await using gitaly = await startGitaly();
  createSmallRepository(gitaly, randomBytes(10));
  const request = `${packet('argument --format=tar\n')}${packet('argument main\n')}${FLUSH}`;

  const { stdout, exitStatus, error } = await collect(
    gitaly.connection.ssh.sshUploadArchive([{ repository: REPOSITORY }, { stdin: Buffer.from(request) }]),
  );

  assert.deepEqual([error, exitStatus], [undefined, [0]]);
  assert.ok(stdout.includes('ustar'));
});

const REFUSED: readonly [
  method: 'sshUploadPack' | 'sshReceivePack' | 'sshUploadArchive',
  first: object,
  error: string,
][] = [
  [
    'sshUploadPack',
    { repository: REPOSITORY, stdin: Buffer.from('x') },
    'INVALID_ARGUMENT: non-empty stdin in first request',
  ],
  ['sshUploadPack', {}, 'INVALID_ARGUMENT: repository not set'],
  ['sshReceivePack', { repository: REPOSITORY }, 'INVALID_ARGUMENT: empty GlId'],
  [
    'sshReceivePack',
    { glId: 'user-1', stdin: Buffer.from('x') },
    'INVALID_ARGUMENT: non-empty data in first request',
  ],
  [
    'sshReceivePack',
    { glId: 'user-1', repository: REPOSITORY, gitConfigOptions: ['x'] },
    'INTERNAL: cannot convert invalid config key: "x"',
  ],
  [
    'sshUploadArchive',
    { repository: { ...REPOSITORY, relativePath: 'none.git' }, stdin: Buffer.from('x') },
    'NOT_FOUND: repository not found',
  ],
  [
    'sshUploadArchive',
    { repository: REPOSITORY, stdin: Buffer.from('x') },
    'INVALID_ARGUMENT: non-empty stdin in first request',
  ],
];

test('first messages are checked in order', async () => {
  await using gitaly = await startGitaly();
  createSmallRepository(gitaly, randomBytes(10));

  for (const [method, first, error] of REFUSED) {
    assert.equal(errorOf(await collect(gitaly.connection.ssh[method]([first]))), error);
  }
});

// git 2.39 died of a segmentation fault, and the call reported it.
test('an archive of directories that are nested too deep for git has an error of its own', async () => {
  await using fixture = await StorageFixture.create();
  const deep = fixture.init('deep.git');
  await nestDirectories(deep, 5000);
  await using gitaly = await startGitaly();
  cpSync(deep.path, join(gitaly.storagePath(), 'r.git'), { recursive: true });
  const archive = async (...words: readonly string[]) => {
    const stdin = Buffer.from(words.map((word) => packet(`argument ${word}\n`)).join('') + FLUSH);
    await Array.fromAsync(gitaly.connection.ssh.sshUploadArchive([{ repository }, { stdin }]));
  };

  for (const words of [['ours'], ['--format', 'zip', 'ours'], ['--prefix=x/', 'ours:d/d']]) {
    await assert.rejects(archive(...words), {
      code: 'FAILED_PRECONDITION',
      message: 'running upload-archive: directories are nested deeper than 2048 levels',
    });
  }
  // any other failure is git's
  await assert.rejects(archive('--prefix', 'ours', 'none'), {
    code: 'INTERNAL',
    message: /^send: cmd wait: exit/,
  });
});
