import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ServerStatus } from '#calls/top/status';
import { programCommand } from '#testkit/programs/program-command';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { type RunResult, run } from '#testkit/run-program';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const ROOT = join(import.meta.dirname, '../..');
const RPC = '/gitaly.CommitService/CheckObjectsExist';
const repository = { storageName: 'default', relativePath: 'x.git', glProjectPath: 'group/x' };

interface Observed {
  readonly gitaly: TestGitaly;
  readonly address: string;
  status(): Promise<ServerStatus>;
  top(...args: string[]): Promise<RunResult>;
}

async function start(more: Readonly<Record<string, unknown>> = {}): Promise<Observed & AsyncDisposable> {
  const gitaly = await startGitaly({
    config: {
      prometheus_listen_addr: '127.0.0.1:0',
      concurrency: [{ rpc: RPC, max_concurrency: 1 }],
      ...more,
    },
  });
  initServed(gitaly, 'x.git', { commits: 1 });
  const address = String(gitaly.log.find(({ msg }) => msg === 'starting prometheus listener')?.address);
  return {
    gitaly,
    address,
    status: async () => (await (await fetch(`http://${address}/debug/top`)).json()) as ServerStatus,
    top: (...args) => run(process.execPath, [...programCommand('gitaly-ts'), 'top', ...args], { cwd: ROOT }),
    [Symbol.asyncDispose]: () => gitaly[Symbol.asyncDispose](),
  };
}

/** Starts calls that last until `end`: two of a limit of one, and one that runs git. */
function hold({ gitaly: { connection } }: Observed) {
  const end = Promise.withResolvers<void>();
  async function* revisions() {
    yield { repository, revisions: [Buffer.from('main')] };
    await end.promise;
  }
  async function* uploadPack() {
    yield { repository, gitProtocol: 'version=1' };
    await end.promise;
  }
  const metadata = { username: 'ann', 'x-gitlab-client-name': 'a client' };
  const check = (correlationId: string) =>
    Array.fromAsync(connection.commit.checkObjectsExist(revisions(), { metadata, correlationId }));
  const calls = [
    check('first'),
    check('second'),
    Array.fromAsync(connection.ssh.sshUploadPack(uploadPack(), { correlationId: 'with git' })),
  ];
  return {
    async [Symbol.asyncDispose]() {
      end.resolve();
      await Promise.allSettled(calls);
    },
  };
}

/** Returns the status when all held calls are where they stay. */
async function heldStatus(at: Observed): Promise<ServerStatus> {
  let status = await at.status();
  await until(async () => {
    status = await at.status();
    const { calls, queues } = status;
    const hasGit = calls.some(({ processes }) => processes.some(({ cpu_ms }) => cpu_ms !== undefined));
    return calls.length === 3 && queues[0]?.waiting === 1 && hasGit;
  });
  return status;
}

test('/debug/top lists calls with their repository, user, wait and git processes', async () => {
  await using at = await start();
  await using _ = hold(at);

  const status = await heldStatus(at);

  const callOf = (id: string) => status.calls.find(({ correlation_id }) => correlation_id === id);
  const waiting = status.calls.filter(({ waits_for }) => waits_for === 'concurrency[0]');
  assert.equal(status.call_count, 3);
  assert.equal(waiting.length, 1);
  assert.partialDeepStrictEqual(callOf('first'), {
    method: RPC,
    storage: 'default',
    repository: 'x.git',
    project: 'group/x',
    user: 'ann',
    client: 'a client',
    request_messages: 1,
  });
  assert.deepEqual(
    callOf('with git')?.processes.map(({ command, directory }) => [command, directory]),
    [['git upload-pack', join(at.gitaly.storagePath(), 'x.git')]],
  );
  assert.deepEqual(status.queues, [
    { limit: 'concurrency[0]', method: RPC, repository: 'x.git', caller: '', running: 1, waiting: 1, max: 1 },
  ]);
  assert.equal(status.git.waiting_calls, 0);
  assert.equal(typeof status.caches.gitaly_catfile_processes, 'number');
});

test('a server without calls lists none', async () => {
  await using at = await start();
  {
    await using _ = hold(at);
    await heldStatus(at);
  }

  await until(async () => (await at.status()).call_count === 0);
  const { calls, queues } = await at.status();

  assert.deepEqual([calls, queues], [[], []]);
});

test('gitaly-ts top prints the same once, as a table or as JSON', async () => {
  await using at = await start();
  await using _ = hold(at);
  await heldStatus(at);

  const text = await at.top(at.address);
  const json = await at.top(`http://${at.address}`, '--json');

  assert.deepEqual([text.code, text.stderr, json.code], [0, '', 0]);
  assert.match(text.stdout, /^gitaly \S+, git \S+, pid \d+, up /);
  assert.match(text.stdout, /\n3 calls, 1 wait for a limit, \d+ run git, 0 wait for git; \d+ processes/);
  assert.match(text.stdout, /\nAGE +RPC +REPOSITORY +USER +CLIENT +CORRELATION ID +STATE\n/);
  assert.match(text.stdout, / SSHService\/SSHUploadPack +default:x\.git .* git upload-pack \d+ \d+/);
  assert.match(text.stdout, /second +waits for concurrency\[0\]\n|first +waits for concurrency\[0\]\n/);
  assert.match(text.stdout, /\n1 +1 +1 +CommitService\/CheckObjectsExist +x\.git +concurrency\[0\]\n/);
  assert.equal((JSON.parse(json.stdout) as ServerStatus).call_count, 3);
});

test('packs that run and wait are listed by client and in all, also by gitaly-ts top', async () => {
  await using at = await start({ pack_objects_limiting: { max_concurrency: 1, max_total: 8 } });
  const path = join(at.gitaly.storagePath(), 'x.git');
  // Longer than everything on the way to a client that does not read.
  const oid = gitOutput(
    path,
    ['-c', 'core.compression=0', 'hash-object', '-w', '--stdin'],
    randomBytes(20_000_000),
  );
  const ask = (option: string) => {
    const requests = [
      { repository, args: ['pack-objects', '--stdout', option] },
      { stdin: Buffer.from(`${oid}\n`) },
    ];
    const metadata = { remote_ip: '192.0.2.1' };
    return at.gitaly.connection.hook.packObjectsHook(requests, { metadata })[Symbol.asyncIterator]();
  };
  const [first, second] = [ask('--thin'), ask('--quiet')];
  await first.next();
  const waiting = second.next();
  await until(async () => (await at.status()).queues[0]?.waiting === 1);

  const { queues } = await at.status();
  const { stdout } = await at.top(at.address);

  assert.deepEqual(queues, [
    {
      limit: 'pack_objects_limiting',
      method: 'packs',
      repository: '',
      caller: '192.0.2.1',
      running: 1,
      waiting: 1,
    },
    {
      limit: 'pack_objects_limiting.max_total',
      method: 'packs',
      repository: '',
      caller: '',
      running: 1,
      waiting: 0,
    },
  ]);
  assert.match(stdout, /\n1 +1 .*packs +192\.0\.2\.1 +pack_objects_limiting\n/);
  await first.return?.();
  await waiting;
  await second.return?.();
});

test('gitaly-ts top takes the address from a configuration', async () => {
  await using at = await start();
  const config = join(at.gitaly.directory, 'c.toml');
  const storage = join(at.gitaly.directory, 'of-config');
  mkdirSync(storage);
  const base = `socket_path = "${at.gitaly.directory}/s2"\n[[storage]]\nname = "a"\npath = "${storage}"\n`;
  writeFileSync(config, `prometheus_listen_addr = "${at.address}"\n${base}`);

  assert.equal((await at.top(config)).code, 0);
  writeFileSync(config, base);
  assert.match((await at.top(config)).stderr, /names no monitoring listener: set prometheus_listen_addr/);
});

test('gitaly-ts top of an address without a server fails with a hint', async () => {
  await using at = await start();

  const { code, stderr } = await at.top('127.0.0.1:1');

  assert.equal(code, 1);
  assert.match(stderr, /^gitaly-ts top: 127\.0\.0\.1:1 does not respond: is it prometheus_listen_addr/);
  assert.match((await at.top('nonsense')).stderr, /neither a file nor HOST:PORT/);
});
