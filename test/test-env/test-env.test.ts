import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { dial } from '#client/index';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'bin/gitaly-ts');
const directory = makeScratchDirectory('env');
after(() => rmSync(directory, { recursive: true, force: true }));

interface Ready {
  readonly addresses: { readonly unix: string; readonly tcp: string; readonly praefect?: string };
  readonly token: string;
  readonly storages: readonly { readonly name: string; readonly path: string }[];
  readonly config: string;
  readonly praefectConfig: string;
  readonly log: string;
}

interface RunningEnv extends AsyncDisposable {
  readonly ready: Ready;
  readonly pid: number;
  readonly exited: Promise<unknown[]>;
}

/** Starts `gitaly-ts test-env`, below a shell if it needs a parent that can be killed. */
async function start(
  name: string,
  {
    args = [],
    env = {},
    shell = false,
  }: { args?: string[]; env?: Record<string, string>; shell?: boolean } = {},
): Promise<RunningEnv> {
  const command = [PROGRAM, 'test-env', join(directory, name), '--json', ...args];
  const [file = '', ...words] = shell ? ['sh', '-c', '"$@"; true', 'sh', ...command] : command;
  const child = spawn(file, words, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, GITALY_SERVER_VERSION: '', GITALY_REPO_URL: '', ...env },
  });
  const exited = once(child, 'exit');
  const [line] = await Promise.race([
    once(child.stdout, 'data'),
    exited.then((how) => Promise.reject(new Error(`test-env ended: ${how}`))),
  ]);
  return {
    ready: JSON.parse(String(line)),
    pid: child.pid ?? 0,
    exited,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

async function exists(address: string, token: string, storageName = 'default'): Promise<boolean> {
  await using connection = await dial(address, { token });
  const repository = { storageName, relativePath: 'a.git' };
  await connection.repository.createRepository({ repository });
  return (await connection.repository.repositoryExists({ repository })).exists;
}

function listens(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath, () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** Waits until nothing listens on the socket of an environment. */
async function untilGone({ addresses }: Ready): Promise<void> {
  await until(async () => !(await listens(addresses.unix.slice('unix:'.length))));
}

test('the printed line has all that a client needs, and a signal ends the server', async () => {
  const env = await start('plain', { args: ['--storage', 'default', '--storage', 'second'] });
  const { ready } = env;

  assert.equal(await exists(ready.addresses.unix, ready.token), true);
  assert.equal(await exists(ready.addresses.tcp, ready.token, 'second'), true);
  await assert.rejects(exists(ready.addresses.tcp, 'wrong'), { code: 'PERMISSION_DENIED' });
  assert.deepEqual(
    ready.storages.map(({ name }) => name),
    ['default', 'second'],
  );
  assert.equal(ready.config, join(directory, 'plain/config.toml'));
  assert.equal(realpathSync(join(directory, 'plain/bin/gitaly')), join(ROOT, 'bin/gitaly'));
  assert.match(readFileSync(ready.log, 'utf8'), /"msg":"Started Gitaly"/);

  await env[Symbol.asyncDispose]();
  assert.deepEqual(await env.exited, [0, null]);
  assert.equal(await listens(ready.addresses.unix.slice('unix:'.length)), false);
});

test('--praefect starts a Praefect in front of the server, and both end together', async () => {
  const env = await start('cluster', { args: ['--praefect', '--storage', 'default', '--storage', 'second'] });
  const { addresses, praefectConfig, token } = env.ready;
  const praefect = addresses.praefect ?? '';

  assert.equal(await exists(praefect, token), true);
  assert.equal(await exists(praefect, token, 'second'), true);
  await assert.rejects(exists(praefect, 'wrong'), { code: 'PERMISSION_DENIED' });
  assert.equal(praefectConfig, join(directory, 'cluster/praefect.config.toml'));
  assert.match(readFileSync(join(directory, 'cluster/log/praefect-test.log'), 'utf8'), /CreateRepository/);

  await env[Symbol.asyncDispose]();
  assert.deepEqual(await env.exited, [0, null]);
  for (const address of [praefect, addresses.unix])
    assert.equal(await listens(address.slice('unix:'.length)), false);
});

test('the Praefect of the configuration can also be started by the suite', async () => {
  await using env = await start('own-praefect');
  assert.equal(env.ready.addresses.praefect, undefined);
  const program = join(directory, 'own-praefect/bin/praefect');
  const child = spawn(program, ['-config', env.ready.praefectConfig], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  try {
    const socket = join(directory, 'own-praefect/praefect.socket');
    await until(() => listens(socket));

    assert.equal(await exists(`unix:${socket}`, env.ready.token), true);
  } finally {
    child.kill();
    await exited;
  }
});

test('a directory can be removed at any time, and the next start makes it again', async () => {
  const env = await start('removed');
  rmSync(join(directory, 'removed'), { recursive: true });
  assert.deepEqual(await env.exited, [0, null]);

  await using again = await start('removed');

  assert.equal(await exists(again.ready.addresses.unix, again.ready.token), true);
});

test('the server ends with its parent, however that ends', async () => {
  const orphan = await start('orphan', { shell: true });
  process.kill(orphan.pid, 'SIGKILL');
  await untilGone(orphan.ready);

  const killed = await start('killed');
  process.kill(killed.pid, 'SIGKILL');
  await untilGone(killed.ready);

  await using again = await start('killed');
  assert.equal(await exists(again.ready.addresses.unix, again.ready.token), true);
});

test('a directory with a name that is too long for more than its own sockets works, too', async () => {
  const length = 'praefect.socket'.length + directory.length + 2;
  const name = 'long'.padEnd(107 - length, '-');
  await using env = await start(name);
  await using connection = await dial(env.ready.addresses.unix, { token: env.ready.token });

  await connection.repository.createRepository({
    repository: { storageName: 'default', relativePath: 'r.git' },
  });

  assert.doesNotMatch(readFileSync(env.ready.config, 'utf8'), /^runtime_dir/m);
});

test('a second environment in the same directory is refused', async () => {
  await using env = await start('twice');

  const { code, stderr } = await run(PROGRAM, ['test-env', join(directory, 'twice')]);

  assert.equal(code, 1);
  assert.match(stderr, /^gitaly-ts test-env: .*twice is in use by another test server/);
  assert.equal(await exists(env.ready.addresses.unix, env.ready.token), true);
});

/** Writes a build of Gitaly's layout, whose server is ours and reports that it was started. */
function writeBuild(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const server = `#!/bin/sh\\necho "a build of its own"\\nexec "${join(ROOT, 'bin/gitaly')}" "$$@"\\n`;
  const [folderRule, fileRule] = ['mkdir -p _build/bin', `printf '${server}' > _build/bin/gitaly`];
  const rules = `all:\n\t${folderRule} && ${fileRule} && chmod +x _build/bin/gitaly`;
  writeFileSync(join(folder, 'Makefile'), `${rules}\n\techo made >> ../../../made\n`);
}

test('GITALY_SERVER_VERSION chooses a folder, also by a link', async () => {
  const build = join(directory, 'x/y/build');
  writeBuild(build);
  await run('make', ['-C', build]);
  symlinkSync(build, join(directory, 'link'));

  await using env = await start('by-link', { env: { GITALY_SERVER_VERSION: join(directory, 'link') } });

  assert.match(readFileSync(env.ready.log, 'utf8'), /^a build of its own$/m);
  assert.match(readFileSync(env.ready.config, 'utf8'), /^bin_dir = /m);
  assert.equal(await exists(env.ready.addresses.unix, env.ready.token), true);
});

test('GITALY_REPO_URL is where releases, branches and commits are built from, once each', async () => {
  const source = join(directory, 'source');
  writeBuild(source);
  const git = (...args: string[]): Promise<string> =>
    runGit(['-C', source, '-c', 'user.name=A', '-c', 'user.email=a@b', ...args]);
  await git('init', '--quiet', '--initial-branch=main');
  await git('config', 'uploadpack.allowAnySHA1InWant', 'true');
  await git('add', '.');
  await git('commit', '--quiet', '--message', 'a server');
  await git('tag', 'v1.2.3');
  const commit = await git('rev-parse', 'HEAD');
  // As in a hook of a repository, which a build must not change.
  const outer = join(directory, 'outer.git');
  await runGit(['init', '--quiet', '--bare', '--initial-branch=main', outer]);

  rmSync(join(directory, 'made'), { force: true });
  for (const version of ['1.2.3', 'main', commit, commit]) {
    await using env = await start('built', {
      env: { GITALY_SERVER_VERSION: version, GITALY_REPO_URL: source, GIT_DIR: outer },
    });
    assert.match(readFileSync(env.ready.log, 'utf8'), /^a build of its own$/m);
  }

  assert.deepEqual(readdirSync(join(directory, 'built/builds')).sort(), ['1.2.3', 'main', commit].sort());
  assert.equal(readFileSync(join(directory, 'made'), 'utf8'), 'made\nmade\nmade\n');
  assert.equal(readFileSync(join(outer, 'HEAD'), 'utf8'), 'ref: refs/heads/main\n');
});

// Born failing: the build went on for as long as it took, and the directory kept its half.
test('a signal ends a build', async () => {
  const source = join(directory, 'slow-source');
  mkdirSync(source);
  const started = join(directory, 'started');
  writeFileSync(join(source, 'Makefile'), `all:\n\ttouch ${started}; exec sleep 600\n`);
  await runGit(['init', '--quiet', '--initial-branch=main', source]);
  await runGit(['-C', source, 'add', '.']);
  await runGit(['-C', source, 'commit', '--quiet', '--message', 'slow']);
  const child = spawn(PROGRAM, ['test-env', join(directory, 'slow')], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, GITALY_SERVER_VERSION: 'main', GITALY_REPO_URL: source },
  });
  const exited = once(child, 'exit');
  let isOver = false;
  void exited.then(() => {
    isOver = true;
  });
  try {
    await until(() => existsSync(started));
    child.kill('SIGTERM');
    await until(() => isOver);
  } finally {
    child.kill('SIGKILL');
  }

  assert.deepEqual(await exited, [0, null]);
  assert.deepEqual(readdirSync(join(directory, 'slow/builds')), []);
});

test('what cannot be run is an error that says what to do, and leaves nothing half done', async () => {
  const attempt = async (version: string, url = ''): Promise<string> => {
    const env = { GITALY_SERVER_VERSION: version, GITALY_REPO_URL: url };
    const { code, stderr } = await run(PROGRAM, ['test-env', join(directory, 'wrong')], { env });
    assert.equal(code, 1);
    return stderr;
  };

  assert.match(await attempt('no-such-branch'), /set GITALY_REPO_URL to the repository/);
  assert.match(await attempt('no-such-branch', join(directory, 'source')), /couldn't find remote ref/);
  assert.match(await attempt('--upload-pack=evil', join(directory, 'source')), /is no folder, release/);
  mkdirSync(join(directory, 'empty'));
  assert.match(await attempt(join(directory, 'empty')), /has no program gitaly/);
  assert.deepEqual(readdirSync(join(directory, 'wrong/builds')), []);
  assert.equal(existsSync(join(directory, 'wrong/gitaly.socket')), false);
});
