import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { dial } from '#client/index';
import { runGit } from '#testkit/run-git';
import { run } from '#testkit/run-program';
import { gitOverSsh, NO_OPENSSH, sshArguments } from '#testkit/ssh-client';
import { TEST_CERTIFICATE } from '#testkit/start-gitaly';

const ROOT = join(import.meta.dirname, '..');
const CLI = ['--conditions=source', join(ROOT, 'src/cli/gitaly-ts.ts')];
const ARGUMENTS = [...CLI, 'up'];

interface Up extends AsyncDisposable {
  readonly directory: string;
  readonly process: ChildProcess;
  /** What it printed until it was ready. */
  readonly welcome: string;
  readonly url: string;
  /** Sends a signal and gives the exit code. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

/** Starts the command in a directory of its own and waits until it says that it is up. */
async function up(directory: string, ...args: string[]): Promise<Up> {
  const child = spawn(process.execPath, [...ARGUMENTS, directory, ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  let printed = '';
  child.stderr.on('data', (chunk) => {
    printed += chunk;
  });
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    printed += chunk;
    if (printed.includes('Ctrl-C')) break;
  }
  child.stdout.resume();
  const stop = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    const [code] = await exited;
    return code;
  };
  const url = /https?:\/\/\S+:\d+/.exec(printed)?.[0] ?? '';
  return {
    directory,
    process: child,
    welcome: printed,
    url,
    stop,
    [Symbol.asyncDispose]: async () => void (await stop('SIGKILL')),
  };
}

async function inTemporaryDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'up-'));
  try {
    await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test('one command serves a repository to clone, takes a push to a new name, and leaves nothing running', async () => {
  await inTemporaryDirectory(async (directory) => {
    const data = join(directory, 'data');
    await using server = await up(data, '--http', '127.0.0.1:0');
    const clone = join(directory, 'clone');

    await runGit(['clone', '-q', `${server.url}/hello.git`, clone]);
    await runGit(['-C', clone, 'push', '-q', `${server.url}/any-new-name.git`, 'HEAD']);
    await runGit(['clone', '-q', `${server.url}/any-new-name.git`, join(directory, 'again')]);

    assert.match(readFileSync(join(directory, 'again/README.md'), 'utf8'), /^# hello\n/);
    assert.ok(server.welcome.includes(`git clone ${server.url}/hello.git`));
    await runGit(['-C', join(data, 'repositories/hello.git'), 'fsck', '--full', '--strict']);

    assert.equal(await server.stop('SIGINT'), 0);
    assert.deepEqual(readdirSync(data), ['repositories']);
  });
});

test('a second start on the same directory says who runs there, a start after a kill works', async () => {
  await inTemporaryDirectory(async (directory) => {
    const first = await up(directory, '--http', '127.0.0.1:0');
    const second = await run(process.execPath, [...ARGUMENTS, directory, '--http', '127.0.0.1:0'], { cwd: ROOT });
    assert.equal(second.code, 1);
    assert.match(second.stderr, new RegExp(`is in use: .*process ${first.process.pid}, ${first.url}.*Stop it first`));
    await first.stop('SIGKILL');

    await using third = await up(directory, '--http', '127.0.0.1:0');
    await runGit(['clone', '-q', `${third.url}/hello.git`, join(directory, 'clone')]);

    assert.equal(await runGit(['-C', join(directory, 'clone'), 'rev-list', '--count', 'HEAD']), '1');
    assert.equal(await third.stop('SIGTERM'), 0);
    assert.equal(existsSync(join(directory, 'gitaly.socket')), false);
  });
});

test('gRPC clients reach it at the address that they are given', async () => {
  await inTemporaryDirectory(async (directory) => {
    await using server = await up(directory, '--http', '127.0.0.1:0', '--grpc', '127.0.0.1:0');
    const [, address = ''] = /gRPC {2}(tcp:\S+?),/.exec(server.welcome) ?? [];
    await using connection = await dial(address);

    const { exists } = await connection.repository.repositoryExists({
      repository: { storageName: 'default', relativePath: 'hello.git' },
    });

    assert.equal(exists, true);
    await server.stop('SIGINT');
  });
});

test('with a file of users and a certificate it serves those users over HTTPS', async () => {
  await inTemporaryDirectory(async (directory) => {
    const make = (args: string[], input = '') => run(process.execPath, [...CLI, 'hash-password', ...args], { cwd: ROOT, input });
    const password = await make(['ann', '--write'], 'hunter2\n');
    const token = await make(['ci', '--token', 'hello']);
    const users = join(directory, 'users');
    writeFileSync(users, password.stdout + token.stdout);
    const secret = /: (\S+)\n/.exec(token.stderr)?.[1] ?? '';
    const key = TEST_CERTIFICATE.replace('certificate', 'key');
    const tls = ['--tls-cert', TEST_CERTIFICATE, '--tls-key', key];
    await using server = await up(join(directory, 'data'), '--http', '127.0.0.1:0', '--auth-file', users, ...tls);
    const env = { GIT_SSL_CAINFO: TEST_CERTIFICATE };
    const as = (credentials: string) => server.url.replace('://', `://${credentials}@`);

    await runGit(['clone', '-q', `${as(`ci:${secret}`)}/hello.git`, join(directory, 'clone')], { env });
    await runGit(['-C', join(directory, 'clone'), 'push', '-q', `${as('ann:hunter2')}/new.git`, 'HEAD'], { env });
    await assert.rejects(runGit(['ls-remote', `${as('ann:wrong')}/hello.git`], { env }), /Authentication failed/);
    await assert.rejects(runGit(['ls-remote', `${as(`ci:${secret}`)}/new.git`], { env }), /no such repository/);

    assert.match(server.url, /^https:/);
    assert.equal(await server.stop('SIGINT'), 0);
  });
});

test('options of the door that do not fit are usage errors that say so', async () => {
  await inTemporaryDirectory(async (directory) => {
    const users = join(directory, 'users');
    writeFileSync(users, 'ann write hunter2\n');
    const start = (...args: string[]) => run(process.execPath, [...ARGUMENTS, join(directory, 'data'), ...args], { cwd: ROOT });

    const half = await start('--tls-cert', 'cert.pem');
    const both = await start('--auth-file', users, '--auth-url', 'http://127.0.0.1:1/');
    const wrong = await start('--auth-file', users);
    const swapped = await start('--tls-cert', TEST_CERTIFICATE, '--tls-key', users);
    const unnamed = await run(process.execPath, [...CLI, 'hash-password', 'a b'], { cwd: ROOT });
    const empty = await run(process.execPath, [...CLI, 'hash-password', 'ann'], { cwd: ROOT });

    assert.deepEqual([half.code, both.code, wrong.code, empty.code], [2, 2, 1, 2]);
    assert.match(half.stderr, /--tls-cert and --tls-key go together/);
    assert.match(both.stderr, /use one of --auth-file and --auth-url/);
    assert.match(wrong.stderr, /--auth-file .*users: line 1: the hash is neither/);
    assert.doesNotMatch(wrong.stderr, /hunter2/);
    assert.match(empty.stderr, /no password came/);
    assert.match(swapped.stderr, /users are not a certificate \(PEM\) and its key/);
    assert.match(unnamed.stderr, /a name has no blanks/);
  });
});

test('a port that was asked for and is taken is an error, a wrong address is a usage error', async () => {
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const address = blocker.address();
  const port = typeof address === 'object' ? address?.port : 0;
  await inTemporaryDirectory(async (directory) => {
    const wrong = await run(process.execPath, [...ARGUMENTS, directory, '--http', '8080'], { cwd: ROOT });
    assert.deepEqual(readdirSync(directory), []);
    const taken = await run(process.execPath, [...ARGUMENTS, directory, '--http', `127.0.0.1:${port}`], { cwd: ROOT });
    const grpc = ['--http', '127.0.0.1:0', '--grpc'];
    const takenGrpc = await run(process.execPath, [...ARGUMENTS, directory, ...grpc, `127.0.0.1:${port}`], { cwd: ROOT });
    const nowhere = await run(process.execPath, [...ARGUMENTS, directory, ...grpc, 'unix:/nowhere/g.sock'], { cwd: ROOT });
    const foreign = await run(process.execPath, [...ARGUMENTS, directory, '--http', '192.0.2.1:8080'], { cwd: ROOT });

    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /EADDRINUSE.*Choose another address/);
    assert.match(takenGrpc.stderr, /address already in use\. Choose another address/);
    assert.deepEqual([nowhere.code, /there is no directory \/nowhere: make it/.test(nowhere.stderr)], [2, true]);
    assert.match(foreign.stderr, /EADDRNOTAVAIL.*Choose an address of this machine/);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /--http 8080: want HOST:PORT/);
    assert.deepEqual(readdirSync(directory), ['repositories']);
  });
  blocker.close();
});

test('--ssh opens an SSH door whose clone line works, with one host key for all starts', { skip: NO_OPENSSH }, async () => {
  await inTemporaryDirectory(async (directory) => {
    const data = join(directory, 'data');
    const keys: string[] = [];
    for (const round of ['first', 'second']) {
      await using server = await up(data, '--http', '127.0.0.1:0', '--ssh', '127.0.0.1:0');
      const [, url = '', port = '', fingerprint = ''] =
        /SSH {3}(ssh:\/\/git@127\.0\.0\.1:(\d+)), host key (SHA256:\S+);/.exec(server.welcome) ?? [];
      const door = { host: '127.0.0.1', port: Number(port) };
      const ssh = await sshArguments({ directory, door, hostKeyPath: join(data, 'ssh_host_ed25519_key') });
      assert.ok(server.welcome.includes(`\n  git clone ${url}/hello.git\n`), server.welcome);

      await runGit(['clone', '-q', `${url}/hello.git`, join(directory, round)], { env: gitOverSsh(ssh) });

      assert.match(readFileSync(join(directory, round, 'README.md'), 'utf8'), /^# hello\n/);
      keys.push(fingerprint);
      assert.equal(await server.stop('SIGINT'), 0);
    }
    assert.equal(keys[0], keys[1]);
  });
});

test('an SSH door that others can reach needs to be told who may come in', async () => {
  await inTemporaryDirectory(async (directory) => {
    const start = (...args: string[]) => run(process.execPath, [...ARGUMENTS, directory, ...args], { cwd: ROOT });

    const open = await start('--ssh', '0.0.0.0:0');
    const wrong = await start('--ssh', 'here');
    const alone = await start('--ssh-keys', 'file');
    const missing = await start('--http', '127.0.0.1:0', '--ssh', '0.0.0.0:0', '--ssh-keys', join(directory, 'none'));

    assert.deepEqual([open.code, wrong.code, alone.code, missing.code], [2, 2, 2, 1]);
    assert.match(open.stderr, /say who may come in: --ssh-keys FILE/);
    assert.match(wrong.stderr, /--ssh here: want HOST:PORT, such as 127\.0\.0\.1:2222/);
    assert.match(alone.stderr, /add --ssh HOST:PORT/);
    assert.match(missing.stderr, /ENOENT/);
  });
});
