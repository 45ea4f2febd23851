import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, dial, receivePack } from '#client/index';
import { certificateSerial } from '#testkit/fixtures/certificate-serial';
import { TEST_CERTIFICATE, TEST_KEY } from '#testkit/fixtures/test-certificate';
import { gitOutput } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitalyProcessOptions, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { extent, isSoak, repetitions } from '#testkit/soak';
import { until } from '#testkit/until';
import { isAlive } from '#tools/wrapper/find-server';
import { gitOverClient } from '../git-over-client/environment.ts';
import { startRestarting } from './restarting.ts';

const repository = { storageName: 'default', relativePath: 'a.git' };
const CALLS_PER_SECOND = extent('RESTART_CALLS_PER_SECOND', { short: 50, long: 200 });
const CLONES_AT_ONCE = extent('RESTART_CLONES', { short: 2, long: 8 });
/** Between two clones of a client. */
const CLONE_PAUSE_MS = 100;
const RESTARTS = repetitions('RESTARTS', { short: 2, long: 6 });
const COMMITS = 200;
/** Time in which the clones of a process end, on a busy machine. */
const DRAIN_MS = 240_000;

test('a restart under load fails no call and breaks no clone', { timeout: 300_000 }, async (context) => {
  await restartUnderLoad(context, RESTARTS);
});

test('so does a restart of three processes', { timeout: 300_000 }, async (context) => {
  await restartUnderLoad(context, isSoak ? RESTARTS : 1, {
    config: '[workers]\nmax = 3\n',
    env: {
      GITALY_TESTING_WORKERS: JSON.stringify({ start: 2, choice: 'random', moves: 'random', tickMs: 100 }),
    },
  });
});

async function restartUnderLoad(
  context: TestContext,
  restarts: number,
  options: GitalyProcessOptions = {},
): Promise<void> {
  // On a busy machine a clone takes longer than the usual time for running calls.
  await using gitaly = await startRestarting({ everyListener: true, grace: '10m', ...options });
  const { first, directory } = gitaly;
  const git = join(directory, 'default', repository.relativePath);
  await makeRepository(git);
  const tip = await gitOutput(git, ['rev-parse', 'main']);
  const addresses = [first.address, `tcp://${first.tcp}`, `tls://${first.tls}`];
  // Without a policy for retries: only calls that no server has started are sent again.
  const connections = await Promise.all(
    [...addresses, ...addresses].map((address) =>
      dial(address, { retry: false, tls: { ca: readFileSync(TEST_CERTIFICATE) } }),
    ),
  );
  const stop = new AbortController();
  await using ends = new AsyncDisposableStack();
  for (const connection of connections) ends.defer(() => connection.close());
  ends.defer(() => stop.abort());
  const load = callAtRate(connections, stop.signal);
  const clones = Array.from({ length: CLONES_AT_ONCE }, (_, index) =>
    cloneUntil(stop.signal, { address: first.address, directory, name: `clone-${index}`, tip }),
  );

  const pids = [gitaly.pid()];
  for (let restart = 0; restart < restarts; restart++) {
    await delay(500); // load on the new process
    await gitaly.restart();
    pids.push(gitaly.pid());
    const old = pids.at(-2) ?? 0;
    await until(() => !isAlive(old), 'the old process does not end', DRAIN_MS);
  }
  await delay(500); // load on the last process
  stop.abort();

  const { calls, failures } = await load;
  const cloned = (await Promise.all(clones)).reduce((sum, count) => sum + count, 0);
  context.diagnostic(`${calls} calls and ${cloned} clones during ${restarts} restarts`);
  assert.deepEqual(failures, []);
  assert.equal(new Set(pids).size, restarts + 1);
  assert.ok(cloned >= CLONES_AT_ONCE);
  assert.match(first.log(), /msg="Upgrade succeeded"/);
  // The processes of a restart share the log; no line is cut by one of another process. A process
  // that has to wait for the reader of its last lines ends without them, and reports this.
  for (const line of first.log().trimEnd().split('\n'))
    assert.match(line, /^(time="[^"]+" level=[^\n]* pid=\d+|gitaly: \d+ log lines dropped$)/);
  assert.doesNotMatch(first.log(), /unclean/);
  const owners = readdirSync(join(directory, 'run')).map((name) => Number(name.replace('gitaly-', '')));
  assert.ok(owners.includes(gitaly.pid()) && owners.every(isAlive), 'directories of dead processes are left');

  process.kill(gitaly.pid(), 'SIGTERM');
  await until(() => !existsSync(join(directory, 'gitaly.socket')), 'the socket file stays');
  assert.ok((await first.exited) === 0);
}

/** Makes calls at a rate, over all connections in turn. */
async function callAtRate(
  connections: readonly Connection[],
  signal: AbortSignal,
): Promise<{ calls: number; failures: string[] }> {
  const failures: string[] = [];
  const running = new Set<Promise<void>>();
  const startedAt = performance.now();
  let calls = 0;
  while (!signal.aborted) {
    const due = Math.floor(((performance.now() - startedAt) / 1000) * CALLS_PER_SECOND);
    for (; calls < due; calls++) {
      const connection = connections[calls % connections.length];
      if (connection === undefined) throw new Error('no connection');
      const call = makeCall(connection, calls)
        .catch((error: unknown) => void failures.push(String(error)))
        .finally(() => running.delete(call));
      running.add(call);
    }
    await delay(5); // the rate of the calls
  }
  await Promise.all(running);
  return { calls, failures };
}

async function makeCall(connection: Connection, number: number): Promise<void> {
  switch (number % 4) {
    case 0: {
      const { commit } = await connection.commit.findCommit({ repository, revision: Buffer.from('main') });
      assert.equal(commit?.subject.toString(), `commit ${COMMITS}`);
      return;
    }
    case 1: {
      let entries = 0;
      for await (const { entries: some } of connection.commit.getTreeEntries({
        repository,
        revision: Buffer.from('main'),
        path: Buffer.from('.'),
      }))
        entries += some.length;
      assert.equal(entries, 1);
      return;
    }
    case 2:
      await connection.repository.writeRef({
        repository,
        ref: Buffer.from(`refs/heads/branch-${number % 64}`),
        revision: Buffer.from('main'),
      });
      return;
    default:
      assert.equal(
        (await connection.ref.refExists({ repository, ref: Buffer.from('refs/heads/main') })).value,
        true,
      );
  }
}

async function cloneUntil(
  signal: AbortSignal,
  { address, directory, name, tip }: { address: string; directory: string; name: string; tip: string },
): Promise<number> {
  let clones = 0;
  for (; ; await delay(CLONE_PAUSE_MS)) {
    const target = join(directory, `${name}-${clones++}`);
    await runGit(['clone', '-q', 'ssh://host/a.git', target], {
      cwd: join(import.meta.dirname, '../..'),
      env: gitOverClient(address, { withSidechannel: clones % 2 === 1 }),
    });
    assert.equal(await runGit(['rev-parse', 'HEAD'], { cwd: target }), tip);
    await runGit(['fsck', '--strict', '--connectivity-only'], { cwd: target });
    if (signal.aborted) return clones;
  }
}

/** Creates a repository of some MB, so that clones take a while. */
async function makeRepository(directory: string): Promise<void> {
  await runGit(['init', '-q', '--bare', '-b', 'main', directory]);
  const lines = ['feature done'];
  for (let number = 1; number <= COMMITS; number++) {
    const content = Buffer.alloc(20_000, `content of ${number} `).toString('latin1') + Math.random();
    lines.push(
      'commit refs/heads/main',
      'committer A <a@example.com> 1700000000 +0000',
      `data ${`commit ${number}`.length}`,
      `commit ${number}`,
      'M 100644 inline file',
      `data ${content.length}`,
      content,
    );
  }
  await runGit(['fast-import', '--quiet'], { cwd: directory, input: `${lines.join('\n')}\ndone\n` });
}

test('a new process that cannot start leaves the old one serving', async () => {
  await using gitaly = await startRestarting();
  const { first, directory } = gitaly;
  const connection = await first.connect();
  const config = join(directory, 'config.toml');
  const good = readFileSync(config, 'utf8');
  const old = gitaly.pid();

  writeFileSync(config, `listen_addr = "256.0.0.1:1"\n${good}`);
  process.kill(old, 'SIGHUP');
  await until(() => first.log().includes('msg="Upgrade failed"'), first.log);
  await connection.server.serverInfo({});

  assert.equal(gitaly.pid(), old);
  assert.match(first.log(), /msg="Upgrade failed" error="child \d+ exited: exit status 1"/);
  writeFileSync(config, good);
  await gitaly.restart();
  assert.notEqual(gitaly.pid(), old);
  await connection.server.serverInfo({});
});

// It stopped the server.
test('SIGHUP to a server that is not ready yet is refused', async () => {
  const preload = join(import.meta.dirname, 'hangup-at-start.ts');

  await using gitaly = await startGitalyProcess({ preload, env: { GITALY_UPGRADES_ENABLED: 'true' } });

  assert.match(gitaly.log(), /msg="SIGHUP was ignored" .*reason="the process is not ready yet"/);
  await (await gitaly.connect()).server.serverInfo({});
  gitaly.kill('SIGTERM');
  assert.equal(await gitaly.exited, 0, gitaly.log());
});

test('the new process reads the configuration, the certificate and the log level again', async () => {
  const certificates = makeScratchDirectory('restart-certificates');
  after(() => rmSync(certificates, { recursive: true, force: true }));
  const tls = { certificatePath: join(certificates, 'cert.pem'), keyPath: join(certificates, 'key.pem') };
  copyFileSync(TEST_CERTIFICATE, tls.certificatePath);
  copyFileSync(TEST_KEY, tls.keyPath);
  await using gitaly = await startRestarting({ everyListener: true, tls });
  const { first, directory } = gitaly;
  const config = join(directory, 'config.toml');
  const before = await certificateSerial(first.tls ?? '');

  const fixtures = join(import.meta.dirname, '../../src/testkit/fixtures');
  copyFileSync(join(fixtures, 'tls-other-certificate.pem'), tls.certificatePath);
  copyFileSync(join(fixtures, 'tls-other-key.pem'), tls.keyPath);
  const text = readFileSync(config, 'utf8').replace('gitaly.socket', 'other.socket');
  writeFileSync(config, `${text}\n[logging]\nlevel = "error"\n`);
  const old = gitaly.pid();
  await gitaly.restart();
  await until(() => !isAlive(old), 'the old process does not end');
  const connection = await dial(`unix:${directory}/other.socket`);
  await connection.server.serverInfo({});
  await connection.close();

  assert.notEqual(await certificateSerial(first.tls ?? ''), before);
  assert.equal(existsSync(join(directory, 'gitaly.socket')), false, 'nobody listens there any more');
  assert.doesNotMatch(first.log(), new RegExp(`level=info .*pid=${gitaly.pid()}`));
});

test('a push that runs during a restart ends in the old process within its grace period', async () => {
  await using gitaly = await startRestarting({ grace: '3s' });
  const { first } = gitaly;
  const connection = await first.connect();
  await connection.repository.createRepository({ repository });
  const old = gitaly.pid();
  const [input, output] = [new PassThrough(), new PassThrough()];
  const advertised = once(output, 'data');
  const push = receivePack(
    connection,
    { stdin: input, stdout: output, stderr: new PassThrough().resume() },
    { repository: { ...repository, glRepository: 'project-1' }, glId: 'user-1' },
  );
  const failed = assert.rejects(push);
  await advertised;

  await gitaly.restart();
  process.kill(gitaly.pid(), 'SIGHUP');
  await until(() => first.log().includes(`error="parent hasn't exited"`), first.log);

  await failed;
  await until(() => !isAlive(old), 'the old process does not end');
  assert.match(first.log(), /msg="unclean Gitaly shutdown" error="graceful upgrade: grace period expired"/);
  await connection.server.serverInfo({});
});

test('a SIGHUP that is seen together with the end of the old process starts the next one', async () => {
  await using gitaly = await startRestarting({ grace: '10m' });
  const { first } = gitaly;
  const connection = await first.connect();
  await connection.repository.createRepository({ repository });
  const old = gitaly.pid();
  const [input, output] = [new PassThrough(), new PassThrough()];
  const advertised = once(output, 'data');
  const push = receivePack(
    connection,
    { stdin: input, stdout: output, stderr: new PassThrough().resume() },
    { repository: { ...repository, glRepository: 'project-1' }, glId: 'user-1' },
  );
  const failed = assert.rejects(push);
  await advertised;
  await gitaly.restart();
  const next = gitaly.pid();

  process.kill(next, 'SIGSTOP');
  process.kill(old, 'SIGKILL');
  await until(() => !isAlive(old), 'the old process does not end');
  process.kill(next, 'SIGHUP');
  process.kill(next, 'SIGCONT');

  await until(() => gitaly.pid() !== next, first.log);
  await failed;
  assert.doesNotMatch(first.log(), /msg="Upgrade failed"/);
});

test('without GITALY_UPGRADES_ENABLED SIGHUP is a graceful stop', async () => {
  await using gitaly = await startGitalyProcess({ everyListener: true });

  gitaly.kill('SIGHUP');

  assert.equal(await gitaly.exited, 0, gitaly.log());
  assert.match(gitaly.log(), /msg="\[shutdown\] stopping Gitaly" pid=\d+ signal=hangup/);
});
