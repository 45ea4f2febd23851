import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import { dial } from '#client/index';
import { gitOverSsh, NO_OPENSSH, sshArguments } from '#testkit/clients/ssh-client';
import { TEST_CERTIFICATE } from '#testkit/fixtures/test-certificate';
import { programCommand } from '#testkit/programs/program-command';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { until } from '#testkit/until';

const ROOT = join(import.meta.dirname, '..');
const CLI = programCommand('gitaly-ts');
const ARGUMENTS = [...CLI, 'up'];

interface Up extends AsyncDisposable {
  readonly directory: string;
  readonly process: ChildProcess;
  /** Output until it was ready. */
  readonly welcome: string;
  readonly url: string;
  /** Sends a signal and returns the exit code. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

/** Starts the command in its own directory and waits until it reports that it is up. */
async function up(directory: string, ...args: string[]): Promise<Up> {
  const child = spawn(process.execPath, [...ARGUMENTS, directory, ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
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

test('one command serves clones and takes a push to a new name, and leaves nothing running', async () => {
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
    assert.deepEqual(readdirSync(data), ['lfs', 'lfs.key', 'repositories']);
  });
});

test('it takes a mirror of a clone, and hides only what a repository hides', async () => {
  await inTemporaryDirectory(async (directory) => {
    const data = join(directory, 'data');
    await using server = await up(data, '--http', '127.0.0.1:0');
    const clone = join(directory, 'clone');
    const git = (...args: string[]): Promise<string> => runGit(['-C', clone, ...args]);
    const references = async (repository: string): Promise<string[]> => {
      const lines = (await git('ls-remote', '--refs', repository)).trim().split('\n');
      return lines.map((line) => line.split('\t')[1] ?? '');
    };
    await runGit(['clone', '-q', `${server.url}/hello.git`, clone]);
    const names = ['environments/1', 'keep-around/x', 'merge-requests/1/head', 'pipelines/1', 'tmp/x'];
    for (const name of names) await git('update-ref', `refs/${name}`, 'HEAD');
    const mirror = `${server.url}/mirror.git`;

    await git('push', '-q', '--mirror', mirror);
    const expected = (await git('for-each-ref', '--format=%(refname)')).trim().split('\n');
    assert.deepEqual(await references(mirror), expected);

    await git('push', '-q', mirror, ':refs/tmp/x', 'HEAD:refs/remotes/origin/other');
    const bare = join(data, 'repositories/mirror.git');
    await runGit(['-C', bare, 'config', 'transfer.hideRefs', 'refs/remotes']);
    assert.equal((await references(mirror)).includes('refs/remotes/origin/other'), false);
    await assert.rejects(git('push', '-q', mirror, 'HEAD:refs/remotes/origin/third'), /hidden ref/);
  });
});

test('a second start on a directory names the running process; one after a kill works', async () => {
  await inTemporaryDirectory(async (directory) => {
    const first = await up(directory, '--http', '127.0.0.1:0');
    const second = await run(process.execPath, [...ARGUMENTS, directory, '--http', '127.0.0.1:0'], {
      cwd: ROOT,
    });
    assert.equal(second.code, 1);
    assert.match(
      second.stderr,
      new RegExp(`is in use: .*process ${first.process.pid}, ${first.url}.*Stop it first`),
    );
    await first.stop('SIGKILL');

    await using third = await up(directory, '--http', '127.0.0.1:0');
    await runGit(['clone', '-q', `${third.url}/hello.git`, join(directory, 'clone')]);

    assert.equal(await runGit(['-C', join(directory, 'clone'), 'rev-list', '--count', 'HEAD']), '1');
    assert.equal(await third.stop('SIGTERM'), 0);
    assert.equal(existsSync(join(directory, 'gitaly.socket')), false);
  });
});

/** The goal is 100 ms on an idle machine. With a delay of the gateway or the server it took 2 s. */
const STOP_LIMIT_MS = 1000;

test('Ctrl-C ends an idle server at once', async () => {
  await inTemporaryDirectory(async (directory) => {
    const attempts: number[] = [];
    for (let attempt = 0; attempt < 3 && !attempts.some((ms) => ms < STOP_LIMIT_MS); attempt++) {
      await using server = await up(directory, '--http', '127.0.0.1:0');
      await runGit(['ls-remote', `${server.url}/hello.git`]);

      const startedAt = performance.now();
      assert.equal(await server.stop('SIGINT'), 0);
      attempts.push(performance.now() - startedAt);
    }

    assert.ok(Math.min(...attempts) < STOP_LIMIT_MS, `${attempts} ms`);
  });
});

const HELLO = { repository: { storageName: 'default', relativePath: 'hello.git' } };

test('gRPC clients of other machines need the printed token; the socket needs none', async () => {
  await inTemporaryDirectory(async (directory) => {
    await using server = await up(directory, '--http', '127.0.0.1:0', '--grpc', '0.0.0.0:0');
    const [, listener = '', socket = ''] = /gRPC {2}(tcp:\S+?), (unix:\S+)/.exec(server.welcome) ?? [];
    const address = listener.replace('0.0.0.0', '127.0.0.1');
    const [, token = ''] = /token (\S{43}) /.exec(server.welcome) ?? [];
    await using nobody = await dial(address);
    await using guesser = await dial(address, { token: 'x'.repeat(43) });
    await using known = await dial(address, { token });
    await using local = await dial(socket);

    await assert.rejects(nobody.repository.removeRepository(HELLO), { code: 'UNAUTHENTICATED' });
    await assert.rejects(guesser.repository.removeRepository(HELLO), { code: 'PERMISSION_DENIED' });
    assert.equal((await known.repository.repositoryExists(HELLO)).exists, true);
    assert.equal((await local.repository.repositoryExists(HELLO)).exists, true);
    await server.stop('SIGINT');
  });
});

for (const option of ['--token', '--token-file']) {
  test(`${option} sets the token, which is not printed or visible to other processes`, async () => {
    await inTemporaryDirectory(async (directory) => {
      const file = join(directory, 'token');
      writeFileSync(file, 'the shared secret\n', { mode: 0o600 });
      const value = option === '--token' ? 'the shared secret' : file;
      const grpc = ['--http', 'off', '--grpc', '127.0.0.1:0', option, value];
      await using server = await up(join(directory, 'data'), ...grpc);
      const [, address = ''] = /gRPC {2}(tcp:\S+?),/.exec(server.welcome) ?? [];
      await using nobody = await dial(address);
      await using known = await dial(address, { token: 'the shared secret' });

      await assert.rejects(nobody.repository.repositoryExists(HELLO), { code: 'UNAUTHENTICATED' });
      assert.equal((await known.repository.repositoryExists(HELLO)).exists, true);
      assert.doesNotMatch(server.welcome, /shared secret|HTTP|git clone/);
      if (process.platform === 'linux')
        assert.doesNotMatch(readFileSync(`/proc/${server.process.pid}/cmdline`, 'utf8'), /shared secret/);
      await server.stop('SIGINT');
    });
  });
}

test('a token guards a socket at a given path, too', async () => {
  await inTemporaryDirectory(async (directory) => {
    const address = `unix:${join(directory, 'g.sock')}`;
    const data = join(directory, 'data');
    await using server = await up(data, '--http', '127.0.0.1:0', '--grpc', address, '--token', 'secret');
    await using nobody = await dial(address);

    await assert.rejects(nobody.repository.repositoryExists(HELLO), { code: 'UNAUTHENTICATED' });
    await runGit(['clone', '-q', `${server.url}/hello.git`, join(directory, 'clone')]);
    await server.stop('SIGINT');
  });
});

test('--json prints one line with addresses, token and storages', async () => {
  await inTemporaryDirectory(async (directory) => {
    const data = join(directory, 'data');
    const child = spawn(
      process.execPath,
      [...ARGUMENTS, data, '--json', '--http', '127.0.0.1:0', '--grpc', '127.0.0.1:0'],
      { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const exited = once(child, 'exit');
    let printed = '';
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      printed += chunk;
      if (printed.includes('\n')) break;
    }
    const report = JSON.parse(printed);
    await using connection = await dial(report.grpc[0], { token: report.token });

    assert.equal((await connection.repository.repositoryExists(HELLO)).exists, true);
    await runGit(['clone', '-q', `${report.http}/hello.git`, join(directory, 'clone')]);
    const { directory: path, pid, storages } = report;
    assert.deepEqual(
      { path, pid, storages },
      { path: data, pid: child.pid, storages: [{ name: 'default', path: join(data, 'repositories') }] },
    );
    const rest = text(child.stdout);
    child.kill('SIGINT');
    await exited;
    assert.equal(await rest, '');
  });
});

test('a gateway that other machines reach needs authentication; a token is a password there', async () => {
  await inTemporaryDirectory(async (directory) => {
    const data = join(directory, 'data');
    const refused = await run(process.execPath, [...ARGUMENTS, data, '--http', '0.0.0.0:0'], { cwd: ROOT });
    assert.equal(refused.code, 2);
    assert.match(
      refused.stderr,
      /needs authentication: add people \(see gitaly-ts user add --help\), --tokens .*, --auth-file FILE .*, --auth-url URL, or --token-file/,
    );
    assert.equal(existsSync(data), false);

    await using server = await up(data, '--http', '0.0.0.0:0', '--token', 'a-shared-secret');
    const url = server.url.replace('0.0.0.0', '127.0.0.1');
    const as = (password: string) => `${url.replace('://', `://ann:${password}@`)}/hello.git`;
    const bearer = ['-c', 'http.extraHeader=Authorization: Bearer a-shared-secret'];

    await runGit(['ls-remote', as('a-shared-secret')]);
    await runGit([...bearer, 'ls-remote', `${server.url}/hello.git`]);
    await assert.rejects(runGit(['ls-remote', as('wrong')]), /Authentication failed/);
    await assert.rejects(
      runGit(['ls-remote', `${url}/hello.git`]),
      /could not read Username|prompts disabled/,
    );
    await server.stop('SIGINT');
  });
});

test('--http-host adds a name for clients on this machine', async () => {
  await inTemporaryDirectory(async (directory) => {
    await using server = await up(directory, '--http', '127.0.0.1:0', '--http-host', 'git.example.com');
    const ask = (host: string) =>
      runGit(['-c', `http.extraHeader=Host: ${host}`, 'ls-remote', `${server.url}/hello.git`]);

    await ask('git.example.com');
    await assert.rejects(ask('evil.example.com'), /"evil\.example\.com" is not a name of this server/);
    await server.stop('SIGINT');
  });
});

test('--bundle-url offers bundles that the gateway serves, and only at signed addresses', async () => {
  await inTemporaryDirectory(async (directory) => {
    const port = await freePort();
    const data = join(directory, 'data');
    const address = `http://127.0.0.1:${port}`;
    await using server = await up(data, '--http', `127.0.0.1:${port}`, '--bundle-url', `${address}/`);

    for (let count = 0; count < 5; count++)
      await runGit(['clone', '-q', `${server.url}/hello.git`, join(directory, `clone-${count}`)]);
    await until(() => existsSync(join(data, 'bundles/default/hello.git/uri/chain.json')));

    const response = await fetch(`${address}/-/bundles?obj=default/hello.git/uri/chain.json`);
    assert.equal(response.status, 403);
    await response.arrayBuffer();
    assert.equal(statSync(join(data, 'bundles.key')).mode & 0o777, 0o600);
  });
});

test('with a file of users and a certificate it serves those users over HTTPS', async () => {
  await inTemporaryDirectory(async (directory) => {
    const make = (args: string[], input = '') =>
      run(process.execPath, [...CLI, 'hash-password', ...args], { cwd: ROOT, input });
    const password = await make(['ann', '--write'], 'hunter2\n');
    const token = await make(['ci', '--token', 'hello']);
    const users = join(directory, 'users');
    writeFileSync(users, password.stdout + token.stdout);
    const secret = /: (\S+)\n/.exec(token.stderr)?.[1] ?? '';
    const key = TEST_CERTIFICATE.replace('certificate', 'key');
    const tls = ['--tls-cert', TEST_CERTIFICATE, '--tls-key', key];
    await using server = await up(
      join(directory, 'data'),
      '--http',
      '127.0.0.1:0',
      '--auth-file',
      users,
      ...tls,
    );
    const env = { GIT_SSL_CAINFO: TEST_CERTIFICATE };
    const as = (credentials: string) => server.url.replace('://', `://${credentials}@`);

    await runGit(['clone', '-q', `${as(`ci:${secret}`)}/hello.git`, join(directory, 'clone')], { env });
    await runGit(['-C', join(directory, 'clone'), 'push', '-q', `${as('ann:hunter2')}/new.git`, 'HEAD'], {
      env,
    });
    await assert.rejects(
      runGit(['ls-remote', `${as('ann:wrong')}/hello.git`], { env }),
      /Authentication failed/,
    );
    await assert.rejects(
      runGit(['ls-remote', `${as(`ci:${secret}`)}/new.git`], { env }),
      /no such repository/,
    );

    assert.match(server.url, /^https:/);
    assert.equal(await server.stop('SIGINT'), 0);
  });
});

test('invalid combinations of gateway options are usage errors with a message', async () => {
  await inTemporaryDirectory(async (directory) => {
    const users = join(directory, 'users');
    writeFileSync(users, 'ann write hunter2\n');
    const start = (...args: string[]) =>
      run(process.execPath, [...ARGUMENTS, join(directory, 'data'), ...args], { cwd: ROOT });

    const half = await start('--tls-cert', 'cert.pem');
    const both = await start('--auth-file', users, '--auth-url', 'http://127.0.0.1:1/');
    const wrong = await start('--auth-file', users);
    const off = await start('--http', 'off', '--auth-file', users);
    const twoTokens = await start('--grpc', '127.0.0.1:0', '--token', 'x', '--token-file', users);
    const open = await start('--grpc', '127.0.0.1:0', '--token-file', users);
    const noToken = await start('--grpc', '127.0.0.1:0', '--token', '');
    const useless = await start('--token', 'x');
    const movable = await start('--bundle-url', 'http://localhost:8080');
    const swapped = await start('--tls-cert', TEST_CERTIFICATE, '--tls-key', users);
    const unnamed = await run(process.execPath, [...CLI, 'hash-password', 'a b'], { cwd: ROOT });
    const empty = await run(process.execPath, [...CLI, 'hash-password', 'ann'], { cwd: ROOT });

    assert.deepEqual([half.code, both.code, wrong.code, empty.code], [2, 2, 1, 2]);
    for (const { code, stderr } of [off, twoTokens, open, noToken, useless, movable])
      assert.equal(code, 2, stderr);
    assert.match(off.stderr, /--auth-file requires the HTTP gateway: leave out --http off/);
    assert.match(twoTokens.stderr, /use one of --token and --token-file/);
    assert.match(open.stderr, /--token-file .*users: other users can read it\. .* chmod 600 /);
    assert.match(noToken.stderr, /--token: the token is empty/);
    assert.match(movable.stderr, /--bundle-url requires a fixed port: add --http HOST:PORT/);
    assert.match(useless.stderr, /a token has no effect here: add --grpc ADDRESS/);
    assert.match(half.stderr, /--tls-cert and --tls-key must be given together/);
    assert.match(both.stderr, /use one of --auth-file and --auth-url/);
    assert.match(wrong.stderr, /--auth-file .*users: line 1: the hash is not of a known kind/);
    assert.doesNotMatch(wrong.stderr, /hunter2/);
    assert.match(empty.stderr, /standard input has no password/);
    assert.match(swapped.stderr, /users are not a certificate \(PEM\) and its key/);
    assert.match(unnamed.stderr, /a name cannot contain blanks/);
  });
});

test('a requested port that is in use is an error, and an invalid address is a usage error', async () => {
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const address = blocker.address();
  const port = typeof address === 'object' ? address?.port : 0;
  await inTemporaryDirectory(async (directory) => {
    const wrong = await run(process.execPath, [...ARGUMENTS, directory, '--http', '8080'], { cwd: ROOT });
    assert.deepEqual(readdirSync(directory), []);
    const taken = await run(process.execPath, [...ARGUMENTS, directory, '--http', `127.0.0.1:${port}`], {
      cwd: ROOT,
    });
    const grpc = ['--http', '127.0.0.1:0', '--grpc'];
    const takenGrpc = await run(process.execPath, [...ARGUMENTS, directory, ...grpc, `127.0.0.1:${port}`], {
      cwd: ROOT,
    });
    const nowhere = await run(process.execPath, [...ARGUMENTS, directory, ...grpc, 'unix:/nowhere/g.sock'], {
      cwd: ROOT,
    });
    const foreign = await run(
      process.execPath,
      [...ARGUMENTS, directory, '--http', '192.0.2.1:8080', '--token', 'x'],
      { cwd: ROOT },
    );

    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /EADDRINUSE.*Choose another address/);
    assert.match(takenGrpc.stderr, /address already in use\. Choose another address/);
    assert.deepEqual(
      [nowhere.code, /the directory \/nowhere does not exist: create it/.test(nowhere.stderr)],
      [2, true],
    );
    assert.match(foreign.stderr, /EADDRNOTAVAIL.*Choose an address of this machine/);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /--http 8080: expected HOST:PORT/);
    assert.deepEqual(readdirSync(directory), ['lfs', 'lfs.key', 'repositories']);
  });
  blocker.close();
});

test('--ssh starts an SSH gateway whose clone line works, with one host key for all starts', {
  skip: NO_OPENSSH,
}, async () => {
  await inTemporaryDirectory(async (directory) => {
    const data = join(directory, 'data');
    const keys: string[] = [];
    for (const round of ['first', 'second']) {
      await using server = await up(data, '--http', '127.0.0.1:0', '--ssh', '127.0.0.1:0');
      const [, url = '', port = '', fingerprint = ''] =
        /SSH {3}(ssh:\/\/git@127\.0\.0\.1:(\d+)), host key (SHA256:\S+);/.exec(server.welcome) ?? [];
      const gateway = { host: '127.0.0.1', port: Number(port) };
      const ssh = await sshArguments({ directory, gateway, hostKeyPath: join(data, 'ssh_host_ed25519_key') });
      assert.ok(server.welcome.includes(`\n  git clone ${url}/hello.git\n`), server.welcome);

      await runGit(['clone', '-q', `${url}/hello.git`, join(directory, round)], { env: gitOverSsh(ssh) });

      assert.match(readFileSync(join(directory, round, 'README.md'), 'utf8'), /^# hello\n/);
      keys.push(fingerprint);
      assert.equal(await server.stop('SIGINT'), 0);
    }
    assert.equal(keys[0], keys[1]);
  });
});

test('an SSH gateway on a public address needs a file of keys', async () => {
  await inTemporaryDirectory(async (directory) => {
    const start = (...args: string[]) =>
      run(process.execPath, [...ARGUMENTS, directory, ...args], { cwd: ROOT });

    const open = await start('--ssh', '0.0.0.0:0');
    const wrong = await start('--ssh', 'here');
    const alone = await start('--ssh-keys', 'file');
    const missing = await start(
      '--http',
      '127.0.0.1:0',
      '--ssh',
      '0.0.0.0:0',
      '--ssh-keys',
      join(directory, 'none'),
    );

    assert.deepEqual([open.code, wrong.code, alone.code, missing.code], [2, 2, 2, 1]);
    assert.match(open.stderr, /needs a file of public keys: add --ssh-keys FILE/);
    assert.match(wrong.stderr, /--ssh here: expected HOST:PORT, such as 127\.0\.0\.1:2222/);
    assert.match(alone.stderr, /add --ssh HOST:PORT/);
    assert.match(missing.stderr, /ENOENT/);
  });
});
