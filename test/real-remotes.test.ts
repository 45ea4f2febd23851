import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import { findProgram } from '#git/command/find-program';
import { addCommit, gitOutput, initRepository, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const target = { storageName: 'default', relativePath: 'target.git' };
const HOST = '127.0.0.1';

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, HOST);
  try {
    return await new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
  } finally {
    socket.destroy();
  }
}

/** A server that others wrote. */
interface RemoteServer extends AsyncDisposable {
  readonly port: number;
  /** Standard error so far. */
  readonly log: () => string;
}

/** Starts a program that listens on a port. @throws {Error} if it ends instead. */
async function listening(port: number, program: string, args: readonly string[]): Promise<RemoteServer> {
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  const failed = new Promise((_, reject) => child.once('error', reject));
  child.stderr?.on('data', (data: Buffer) => {
    log += data.toString();
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  await Promise.race([failed, until(async () => child.exitCode !== null || (await accepts(port)))]);
  if (child.exitCode !== null) throw new Error(log);
  return {
    port,
    log: () => log,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function refsOf(path: string): string {
  return gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)']);
}

/** Makes the repository `x.git` with two branches and a tag. */
function makeRemote(directory: string, objectFormat: 'sha1' | 'sha256'): string {
  const path = join(directory, 'x.git');
  initRepository(path, { commits: 3, objectFormat });
  gitOutput(path, ['branch', 'old', 'main~1']);
  gitOutput(path, ['tag', '-a', '-m', 'first', 'v1', 'main~2']);
  return path;
}

function assertNothingLeft(gitaly: TestGitaly): void {
  assert.deepEqual(readdirSync(join(gitaly.storagePath(), '+gitaly/tmp')), []);
}

const daemon = join(gitOutput('/', ['--exec-path']), 'git-daemon');

suite('git daemon', { skip: existsSync(daemon) ? false : 'git daemon is not installed' }, () => {
  /** Serves the repositories in a directory: each host has a separate directory. */
  async function startDaemon(directory: string): Promise<RemoteServer> {
    const port = await freePort();
    const listen = [`--listen=${HOST}`, `--port=${port}`, '--reuseaddr', '--log-destination=stderr'];
    const paths = ['--export-all', '--enable=receive-pack', `--interpolated-path=${directory}/%H/%D`];
    return await listening(port, daemon, [...listen, '--verbose', ...paths]);
  }

  for (const objectFormat of ['sha1', 'sha256'] as const)
    test(`a ${objectFormat} repository is created from it, follows it, and is mirrored to it`, async () => {
      await using gitaly = await startGitaly({ storages: ['default', 'remote'] });
      await using server = await startDaemon(gitaly.storagePath('remote'));
      const there = makeRemote(join(gitaly.storagePath('remote'), HOST), objectFormat);
      const here = join(gitaly.storagePath(), target.relativePath);
      const url = `git://${HOST}:${server.port}/x.git`;
      const { remote, repository } = gitaly.connection;

      await repository.createRepositoryFromURL({ repository: target, url });
      assert.equal(refsOf(here), refsOf(there));

      addCommit(there, 4);
      gitOutput(there, ['branch', '-D', 'old']);
      await repository.fetchRemote({ repository: target, remoteParams: { url } });
      assert.equal(refsOf(here), refsOf(there));
      gitOutput(here, ['fsck', '--strict']);

      assert.equal((await remote.findRemoteRepository({ remote: url, storageName: 'default' })).exists, true);
      assert.equal((await remote.findRemoteRootRef({ repository: target, remoteUrl: url })).ref, 'main');

      addCommit(here, 5);
      gitOutput(here, ['branch', 'new', 'main~1']);
      await remote.updateRemoteMirror([{ repository: target, remote: { url } }]);
      assert.equal(refsOf(there), refsOf(here));
      gitOutput(there, ['fsck', '--strict']);
      assertNothingLeft(gitaly);
    });

  test('a repository that it does not have is not created', async () => {
    await using gitaly = await startGitaly({ storages: ['default', 'remote'] });
    await using server = await startDaemon(gitaly.storagePath('remote'));
    const url = `git://${HOST}:${server.port}/x.git`;

    await assert.rejects(gitaly.connection.repository.createRepositoryFromURL({ repository: target, url }), {
      code: 'INTERNAL',
      message: 'creating repository: cloning repository: exit status 128',
    });

    assert.match(server.log(), /x\.git/);
    assert.equal(existsSync(join(gitaly.storagePath(), target.relativePath)), false);
    assertNothingLeft(gitaly);
  });

  test('a pinned address is used instead of the name, which the daemon still sees', async () => {
    await using gitaly = await startGitaly({ storages: ['default', 'remote'] });
    await using server = await startDaemon(gitaly.storagePath('remote'));
    const there = makeRemote(join(gitaly.storagePath('remote'), 'git.example.invalid'), 'sha1');
    const url = `git://git.example.invalid:${server.port}/x.git`;

    const request = { repository: target, url, resolvedAddress: HOST };
    await gitaly.connection.repository.createRepositoryFromURL(request);

    assert.equal(refsOf(join(gitaly.storagePath(), target.relativePath)), refsOf(there));
  });
});

/** Returns the path of the SSH server, which is on the PATH of administrators only. */
function sshd(): string {
  try {
    return findProgram('sshd');
  } catch {
    return '/usr/sbin/sshd';
  }
}

/** Starts an SSH server for the user of this process. */
async function startSshd(directory: string): Promise<RemoteServer & { key: string; knownHosts: string }> {
  const program = sshd();
  mkdirSync(directory);
  for (const name of ['host', 'client'])
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(directory, name)]);
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
  writeFileSync(join(directory, 'authorized'), read('client.pub'), { mode: 0o600 });
  const port = await freePort();
  const config = [
    ...[`Port ${port}`, `ListenAddress ${HOST}`, `HostKey ${join(directory, 'host')}`, 'PidFile none'],
    ...[`AuthorizedKeysFile ${join(directory, 'authorized')}`, 'StrictModes no', 'PermitRootLogin yes'],
    ...['PasswordAuthentication no', 'KbdInteractiveAuthentication no'],
  ];
  writeFileSync(join(directory, 'config'), `${config.join('\n')}\n`);
  const server = await listening(port, program, ['-D', '-e', '-f', join(directory, 'config')]);
  return { ...server, key: read('client'), knownHosts: `[${HOST}]:${port} ${read('host.pub')}` };
}

async function whyNoSshd(): Promise<string | false> {
  await using gitaly = await startGitaly();
  try {
    await using _ = await startSshd(join(gitaly.directory, 'sshd'));
    return false;
  } catch (error) {
    return `no sshd: ${String(error)}`;
  }
}

suite('an SSH server', { skip: await whyNoSshd() }, () => {
  for (const objectFormat of ['sha1', 'sha256'] as const)
    test(`a ${objectFormat} repository is fetched from it and mirrored to it`, async () => {
      await using gitaly = await startGitaly({ storages: ['default', 'remote'] });
      await using server = await startSshd(join(gitaly.directory, 'sshd'));
      const there = makeRemote(gitaly.storagePath('remote'), objectFormat);
      const here = initServed(gitaly, target.relativePath, { objectFormat });
      const url = `ssh://${userInfo().username}@${HOST}:${server.port}${there}`;
      const { key: sshKey, knownHosts } = server;
      const { remote, repository } = gitaly.connection;

      const request = { repository: target, remoteParams: { url }, sshKey, knownHosts };
      await repository.fetchRemote(request);
      assert.equal(refsOf(here), refsOf(there));

      addCommit(here, 4);
      await remote.updateRemoteMirror([{ repository: target, remote: { url }, sshKey, knownHosts }]);
      assert.equal(refsOf(there), refsOf(here));
      assertNothingLeft(gitaly);
    });

  test('a wrong host key and a missing key are refused, and no secret is left or logged', async () => {
    await using gitaly = await startGitaly({ storages: ['default', 'remote'] });
    await using server = await startSshd(join(gitaly.directory, 'sshd'));
    const there = makeRemote(gitaly.storagePath('remote'), 'sha1');
    const here = initServed(gitaly, target.relativePath);
    const url = `ssh://${userInfo().username}@${HOST}:${server.port}${there}`;
    const clientKey = readFileSync(join(gitaly.directory, 'sshd/client.pub'), 'utf8');
    const wrong = `[${HOST}]:${server.port} ${clientKey}`;

    const fetch = (more: object) =>
      gitaly.connection.repository.fetchRemote({ repository: target, remoteParams: { url }, ...more });
    const { key: sshKey, knownHosts } = server;
    const failed = { code: 'INTERNAL', message: /Host key verification failed/ };
    await assert.rejects(fetch({ sshKey, knownHosts: wrong }), failed);
    await assert.rejects(fetch({ knownHosts }), { code: 'INTERNAL', message: /Permission denied/ });

    assert.equal(refsOf(here), '');
    assertNothingLeft(gitaly);
    const secret = sshKey.split('\n')[1] ?? '';
    assert.equal(JSON.stringify(gitaly.log).includes(secret), false);
  });
});
