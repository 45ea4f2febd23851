import assert from 'node:assert/strict';
import { cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Authenticator, startHttpGateway, storageMapping } from '#gateway/index';
import { ALLOW_EVERYBODY, ended, logIn } from '#testkit/clients/ssh-gateway-fixture';
import { packet } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { startSshGateway } from './ssh/ssh-gateway.ts';

interface StartOptions {
  readonly createOnPush: object | undefined;
  /** Of the HTTP gateway. */
  readonly authenticator?: Authenticator;
}

/** Both gateways in front of a server with `dev/x` and `both`, which is there with `.git` as well. */
async function start({ authenticator, createOnPush }: StartOptions = { createOnPush: {} }) {
  const directory = makeScratchDirectory('names');
  const gitaly = await startGitaly();
  const x = await gitaly.createRepository({ relativePath: 'dev/x', commits: 1 });
  await gitaly.createRepository({ relativePath: 'both', commits: 1 });
  const usual = await gitaly.createRepository({ relativePath: 'both.git', commits: 2 });
  const common = {
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    ...(createOnPush && { createOnPush }),
  };
  const http = await startHttpGateway({ ...common, ...(authenticator && { authenticator }) });
  const ssh = await startSshGateway({
    ...common,
    hostKeyPath: join(directory, 'host-key'),
    access: ALLOW_EVERYBODY,
  });
  const tip = (path: string): Promise<string> => runGit(['-C', path, 'rev-parse', 'main']);
  return {
    directory,
    http,
    ssh,
    pathOf: (name: string): string => join(gitaly.storagePath(), name),
    tips: { x: await tip(x.path), both: await tip(usual.path) },
    async [Symbol.asyncDispose]() {
      await http.close();
      await ssh.close();
      await gitaly[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

// It could never be cloned, though repo list showed it.
test('a repository whose directory does not end in .git is cloned and pushed over HTTP', async () => {
  await using server = await start();
  for (const [number, name] of ['dev/x', 'dev/x.git'].entries()) {
    const clone = join(server.directory, `clone-${number}`);

    await runGit(['clone', '-q', `${server.http.url}/${name}`, clone]);

    assert.equal(await runGit(['-C', clone, 'rev-parse', 'HEAD']), server.tips.x);
    await runGit(['-C', clone, 'push', '-q', 'origin', `HEAD:refs/heads/b${number}`]);
    const pushed = await runGit(['-C', server.pathOf('dev/x'), 'rev-parse', `b${number}`]);
    assert.equal(pushed, server.tips.x);
  }
  assert.equal(existsSync(server.pathOf('dev/x.git')), false, 'the push has created none');
});

for (const [name, creates] of [
  ['', { createOnPush: {} }],
  // It was not found: only pushes that may create repositories asked whether it exists.
  [', also where pushes create none', { createOnPush: undefined }],
] as const)
  test(`a push alone finds it, in a process that has not served the references${name}`, async () => {
    await using server = await start(creates);
    const { x } = server.tips;
    const line = `${'0'.repeat(40)} ${x} refs/heads/alone\0report-status`;
    const packet = Buffer.from(`${(line.length + 4).toString(16).padStart(4, '0')}${line}0000`);
    const emptyPack = Buffer.from('5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e', 'hex');

    const response = await fetch(`${server.http.url}/dev/x.git/git-receive-pack`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-git-receive-pack-request' },
      body: Buffer.concat([packet, emptyPack]),
    });

    assert.match(await response.text(), /ok refs\/heads\/alone/);
    assert.equal(await runGit(['-C', server.pathOf('dev/x'), 'rev-parse', 'alone']), x);
  });

test('a fetch alone finds it as well', async () => {
  await using server = await start();
  const response = await fetch(`${server.http.url}/dev/x.git/git-upload-pack`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-git-upload-pack-request', 'git-protocol': 'version=2' },
    body: '0014command=ls-refs\n0000',
  });

  assert.equal(response.status, 200);
  assert.ok((await response.text()).includes(`${server.tips.x} refs/heads/main`));
});

test('it is served over SSH', async () => {
  await using server = await start();
  await using client = await logIn(server.ssh);

  for (const name of ['dev/x', 'dev/x.git'])
    for (const service of ['upload-pack', 'receive-pack']) {
      const { code, stdout } = await ended(await client.exec(`git-${service} '/${name}'`), '0000');
      assert.equal(code, 0);
      assert.ok(stdout.includes(`${server.tips.x} refs/heads/main`), `${service} ${name}`);
    }
  assert.equal(existsSync(server.pathOf('dev/x.git')), false);
});

// A client of upload-archive sends its request first. It went to the name that does not exist.
test('an archive of it comes over SSH', async () => {
  await using server = await start();
  await using client = await logIn(server.ssh);

  for (const name of ['dev/x', 'dev/x.git']) {
    const input = `${packet('argument HEAD\n')}0000`;
    const { code, stdout } = await ended(await client.exec(`git-upload-archive '/${name}'`), input);

    assert.equal(code, 0, name);
    assert.ok(stdout.startsWith('0008ACK\n0000'), name);
  }
});

test('the repository with the usual name comes first, and others are created with it', async () => {
  await using server = await start();
  for (const name of ['both', 'both.git'])
    assert.match(
      await runGit(['ls-remote', `${server.http.url}/${name}`, 'main']),
      new RegExp(server.tips.both),
    );
  const clone = join(server.directory, 'clone');
  await runGit(['clone', '-q', `${server.http.url}/dev/x`, clone]);

  await runGit(['-C', clone, 'push', '-q', `${server.http.url}/dev/new`, 'HEAD:main']);

  assert.ok(existsSync(server.pathOf('dev/new.git')));
  assert.equal(existsSync(server.pathOf('dev/new')), false);
});

// The first push failed with "not found", and the next one created the repository.
test('a push creates the repository at once after one without .git was removed', async () => {
  await using server = await start();
  const clone = join(server.directory, 'clone');
  await runGit(['clone', '-q', `${server.http.url}/dev/x`, clone]);
  rmSync(server.pathOf('dev/x'), { recursive: true });

  await runGit(['-C', clone, 'push', '-q', `${server.http.url}/dev/x`, 'HEAD:main']);

  assert.ok(existsSync(server.pathOf('dev/x.git')));
  assert.equal(existsSync(server.pathOf('dev/x')), false);
});

test('over SSH, too', async () => {
  await using server = await start();
  await using client = await logIn(server.ssh);
  assert.equal((await ended(await client.exec("git-upload-pack '/dev/x'"), '0000')).code, 0);
  rmSync(server.pathOf('dev/x'), { recursive: true });

  const { code, stdout } = await ended(await client.exec("git-receive-pack '/dev/x'"), '0000');

  assert.equal(code, 0, 'the references of a new repository are sent');
  assert.match(stdout, /capabilities\^\{\}/);
});

test('all readers at once find the usual name after the other one was removed', async () => {
  await using server = await start();
  const read = () => fetch(`${server.http.url}/dev/x/info/refs?service=git-upload-pack`);
  assert.equal((await read()).status, 200);
  renameSync(server.pathOf('dev/x'), server.pathOf('dev/x.git'));

  const answers = await Promise.all(Array.from({ length: 4 }, read));

  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200],
  );
  // From now on the usual name comes first, although the other one was served before.
  cpSync(server.pathOf('both.git'), server.pathOf('dev/x'), { recursive: true });
  const found = await runGit(['ls-remote', `${server.http.url}/dev/x`, 'refs/heads/main']);
  assert.match(found, new RegExp(server.tips.x));
});

// Who decides by the path, as an --auth-url does, decided about another one.
test('a repository has no further name with the suffix twice', async () => {
  const authenticator: Authenticator = {
    authenticate: async ({ path }) =>
      path === 'both.git'
        ? { answer: { status: 404, text: 'It is hidden.' } }
        : { glId: 'user-1', username: 'git' },
  };
  await using server = await start({ createOnPush: undefined, authenticator });
  const statusOf = async (name: string, service: string): Promise<number> =>
    (await fetch(`${server.http.url}/${name}/info/refs?service=git-${service}`)).status;

  for (const service of ['upload-pack', 'receive-pack'])
    assert.deepEqual(
      [await statusOf('both.git', service), await statusOf('both.git.git', service)],
      [404, 404],
      service,
    );
  assert.equal(await statusOf('dev/x.git', 'upload-pack'), 200);
});
