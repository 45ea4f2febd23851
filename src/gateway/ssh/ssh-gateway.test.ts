import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import ssh2 from 'ssh2';
import { GitalyError, type StatusCode } from '#base/gitaly-error';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { demultiplex } from '#rpc/server/connection/demultiplexer';
import { GrpcServer } from '#rpc/server/grpc-server';
import { serve } from '#rpc/server/handler';
import {
  ALLOW_EVERYBODY,
  assertServes,
  connectionClosed,
  ended,
  LIST,
  logIn,
  startGateway,
} from '#testkit/clients/ssh-gateway-fixture';
import { until } from '#testkit/until';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { startSshGateway, storageMapping } from '../index.ts';

const RULER = '='.repeat(72);
const framed = (message: string) =>
  ['', RULER, '', message, '', RULER, ''].map((line) => `remote: ${line}\n`).join('');

/** Returns the output when Gitaly refuses each of the three calls with an error. */
async function refusals(error: GitalyError): Promise<{ code: unknown; stderr: string }[]> {
  const directory = mkdtempSync(join(tmpdir(), 'ssh-limit-'));
  const refuse = (): never => {
    throw error;
  };
  // biome-ignore lint/correctness/useYield: a stream that fails before its first message
  const refuseStream = async function* () {
    refuse();
  };
  const service = serve(SSHService, {
    sSHUploadPackWithSidechannel: refuse,
    sSHUploadPack: refuseStream,
    sSHReceivePack: refuseStream,
    sSHUploadArchive: refuseStream,
  });
  const server = new GrpcServer({ services: [service] });
  const backchannels = new Backchannels(() => ({ closed: Promise.resolve(), destroy: () => {} }));
  const listener = createServer((socket) => {
    const peer = { transport: 'unix' as const, address: 'test' };
    void demultiplex(socket, peer, {
      backchannels,
      onGrpc: (duplex, from) => server.serveConnection(duplex, from),
    });
  });
  const socket = join(directory, 'gitaly.socket');
  listener.listen(socket);
  await once(listener, 'listening');
  const gateway = await startSshGateway({
    gitaly: { address: `unix:${socket}` },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    hostKeyPath: join(directory, 'key'),
    access: { everybody: { glId: 'user-1', username: 'git' } },
  });
  const client = new ssh2.Client().connect({ host: gateway.host, port: gateway.port, username: 'git' });
  await once(client, 'ready');
  const run = (command: string) =>
    new Promise<{ code: unknown; stderr: string }>((resolve, reject) => {
      client.exec(command, (failure, channel) => {
        if (failure) return reject(failure);
        const exit = once(channel, 'exit');
        channel.resume();
        resolve(Promise.all([exit, text(channel.stderr)]).then(([[code], stderr]) => ({ code, stderr })));
      });
    });
  try {
    return await Promise.all(
      ['upload-pack', 'receive-pack', 'upload-archive'].map((name) => run(`git-${name} 'a.git'`)),
    );
  } finally {
    client.destroy();
    await gateway.close();
    listener.close();
    await server.shutdown({ graceMs: 0 });
    rmSync(directory, { recursive: true, force: true });
  }
}

test('a command runs and returns its exit code and both outputs', async () => {
  await using opened = await startGateway();
  await using client = await logIn(opened.gateway);

  const listed = await ended(await client.exec(LIST), '0000');
  const second = await ended(await client.exec(LIST, { GIT_PROTOCOL: 'version=2' }), '0000');
  const archive = await ended(await client.exec("git-upload-archive 'a.git'"), '0012argument none\n0000');

  assert.deepEqual([listed.code, listed.stderr], [0, '']);
  assert.match(listed.stdout, /refs\/heads\/main\n0000$/);
  assert.match(second.stdout, /^000eversion 2\n/);
  assert.equal(archive.code, 128);
  assert.match(archive.stderr, /fatal: sent error to the client/);
  assert.deepEqual(opened.failures, []);
});

test('only GIT_PROTOCOL may be set, and only to valid values', async () => {
  await using opened = await startGateway();
  await using client = await logIn(opened.gateway);

  const injected = await ended(
    await client.exec(LIST, { GIT_PROTOCOL: 'version=2\nx', GIT_DIR: '/', LD_PRELOAD: '/x' }),
    '0000',
  );

  assert.match(injected.stdout, /^[0-9a-f]{44} HEAD\0/);
  assert.equal(injected.code, 0);
});

test('nothing but git: no terminal, no files, no forwarding', async () => {
  await using opened = await startGateway();
  await using client = await logIn(opened.gateway);
  const asked = (ask: (done: (error: Error | undefined) => void) => void) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    ask((error) => (error ? reject(error) : resolve()));
    return promise;
  };

  await assert.rejects(asked((done) => client.connection.sftp(done)));
  await assert.rejects(asked((done) => client.connection.subsys('netconf', done)));
  await assert.rejects(
    asked((done) => client.connection.forwardOut('127.0.0.1', 1, '127.0.0.1', opened.gateway.port, done)),
  );
  await assert.rejects(asked((done) => client.connection.forwardIn('127.0.0.1', 0, done)));
  await assert.rejects(asked((done) => client.connection.exec(LIST, { pty: true }, done)));
});

test('a session without a command gets a message instead of a shell', async () => {
  await using opened = await startGateway();
  await using client = await logIn(opened.gateway);
  const { promise, resolve, reject } = Promise.withResolvers<ssh2.ClientChannel>();
  client.connection.shell(false, (error, channel) => (error ? reject(error) : resolve(channel)));
  const { stderr, stdout } = await ended(await promise);

  assert.equal(stderr, '');
  assert.match(stdout, /You are logged in as .*This server has no shell/s);
});

test('a client that disconnects ends the call', async () => {
  await using opened = await startGateway();
  const client = await logIn(opened.gateway);
  const channel = await client.exec(LIST);
  channel.write('00');
  await until(() => channel.readableLength > 0, 'git has answered');

  client.connection.destroy();

  const ofCall = (line: Record<string, unknown>) => line['grpc.method'] === 'SSHUploadPackWithSidechannel';
  await until(() => opened.gitaly.log.some(ofCall), 'the call ended');
  assert.equal(opened.gitaly.log.find(ofCall)?.['grpc.code'], 'Canceled');
  await assertServes(opened.gateway);
});

test('a channel that the client closes ends the call, and the connection stays open', async () => {
  await using opened = await startGateway();
  await using client = await logIn(opened.gateway);
  const channel = await client.exec(LIST);
  await until(() => channel.readableLength > 0, 'git has answered');

  channel.close();

  await until(() => opened.gitaly.log.some((line) => line['grpc.code'] === 'Canceled'), 'the call ended');
  assert.equal((await ended(await client.exec(LIST), '0000')).code, 0);
});

test('closing waits for running commands up to the grace period, and for nothing else', async () => {
  await using opened = await startGateway();
  await using idle = await logIn(opened.gateway);
  await using busy = await logIn(opened.gateway);
  const channel = await busy.exec(LIST);
  await until(() => channel.readableLength > 0, 'git has answered');
  const idleClosed = connectionClosed(idle);

  const gatewayClosed = opened.gateway.close({ graceMs: 10_000 });
  await idleClosed;
  await assert.rejects(busy.exec(LIST), /open failure/);
  const { code } = await ended(channel, '0000');
  await gatewayClosed;

  assert.equal(code, 0);
});

test('closing ends what takes longer', async () => {
  await using opened = await startGateway();
  await using client = await logIn(opened.gateway);
  const channel = await client.exec(LIST);
  await until(() => channel.readableLength > 0, 'git has answered');
  const closed = connectionClosed(client);

  await opened.gateway.close({ graceMs: 50 });

  await closed;
});

test('without its server the gateway returns an error, and works again when the server is back', async () => {
  await using opened = await startGateway({ gitaly: { address: 'unix:/nowhere/gitaly.socket' } });
  await using client = await logIn(opened.gateway);

  const { code, stderr } = await ended(await client.exec(LIST), '0000');

  assert.equal(code, 1);
  assert.match(
    stderr,
    /^remote: The git server, Gitaly, is not available at this time\. Please contact your administrator\.$/m,
  );
  assert.equal(opened.failures.length, 1);
});

test('the host key is private and persistent; an invalid one is refused with a reason', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ssh-gateway-keys-'));
  const [made, rsa, bad, open644] = ['made', 'rsa', 'bad', 'open'].map((name) => join(directory, name));
  assert.ok(made && rsa && bad && open644);
  try {
    const fingerprints: string[] = [];
    for (const hostKeyPath of [made, made]) {
      await using opened = await startGateway({ hostKeyPath });
      fingerprints.push(opened.gateway.fingerprint);
      await assertServes(opened.gateway);
    }
    assert.equal(fingerprints[0], fingerprints[1]);
    assert.equal(statSync(made).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(directory), ['made']);

    writeFileSync(rsa, ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 }).private, { mode: 0o600 });
    await using other = await startGateway({ hostKeyPath: rsa });
    await assertServes(other.gateway);

    const opening = (hostKeyPath: string) =>
      startSshGateway({
        gitaly: { address: 'unix:/nowhere' },
        listen: { host: '127.0.0.1', port: 0 },
        mapping: storageMapping('default'),
        access: ALLOW_EVERYBODY,
        hostKeyPath,
      });
    writeFileSync(bad, 'no key', { mode: 0o600 });
    await assert.rejects(opening(bad), /is not a private key without a passphrase/);
    writeFileSync(open644, readFileSync(made));
    chmodSync(open644, 0o644);
    await assert.rejects(opening(open644), /chmod 600/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('a client that sends no command to a missing repository creates none', async () => {
  await using opened = await startGateway({ createOnPush: {} });
  await using client = await logIn(opened.gateway);
  const push = "git-receive-pack 'new.git'";
  const repository = join(opened.gitaly.storagePath(), 'new.git');

  const nothing = await ended(await client.exec(push), '0000');
  const gone = await ended(await client.exec(push), '');
  const wrong = await ended(await client.exec(push), '0009hello');

  assert.deepEqual([nothing.code, nothing.stderr, gone.code, wrong.code], [0, '', 0, 1]);
  assert.match(nothing.stdout, /^[0-9a-f]{4}0{40} capabilities\^\{\}\0report-status .*\n0000$/);
  assert.equal(existsSync(repository), false);
});

test('a push to a repository that exists ends as without createOnPush', async () => {
  const push = "git-receive-pack 'a.git'";
  const run = async (options: Parameters<typeof startGateway>[0]) => {
    await using opened = await startGateway(options);
    await using client = await logIn(opened.gateway);
    const nothing = await ended(await client.exec(push), '0000');
    const wrong = await ended(await client.exec(push), '0009hello');
    return [nothing.code, nothing.stderr, wrong.code];
  };

  const [code, stderr, wrong] = await run({ createOnPush: {} });

  assert.deepEqual([code, stderr, wrong], await run({}));
  assert.deepEqual([code, stderr], [0, '']);
  assert.ok(Number(wrong) > 0, `${wrong}`);
});

for (const code of ['UNAVAILABLE', 'RESOURCE_EXHAUSTED'] as const satisfies StatusCode[]) {
  test(`a limit (${code}) is reported with gitlab-shell's text`, async () => {
    const details = [
      create(LimitErrorSchema, { errorMessage: 'maximum queue size reached', retryAfter: { seconds: 0n } }),
    ];

    const told = await refusals(new GitalyError(code, 'maximum queue size reached', { details }));

    const expected = {
      code: 1,
      stderr: framed('GitLab is currently unable to handle this request due to load.'),
    };
    assert.deepEqual(told, [expected, expected, expected]);
  });
}

test("an internal failure is not described, and other failures have Gitaly's message", async () => {
  const internal = await refusals(new GitalyError('INTERNAL', 'the path of something'));
  const other = await refusals(new GitalyError('FAILED_PRECONDITION', 'not now'));

  assert.deepEqual(internal[0], { code: 1, stderr: '' });
  assert.deepEqual(other[0], { code: 1, stderr: framed('not now') });
});
