import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { gitOverSsh, makeSshKey, NO_OPENSSH, sshArguments } from '#testkit/clients/ssh-client';
import { moduleOptions } from '#testkit/programs/program-command';
import { gitOutput } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { type RunProgramOptions, type RunResult, run } from '#testkit/run-program';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const ROOT = join(import.meta.dirname, '..');
const EXAMPLES = join(ROOT, 'examples');
const TOKEN = 'a secret';
const MAX_LINES = 40;
/** The module of all examples. */
const SHARED = 'arguments.ts';
const NOWHERE = 'unix:/nowhere/gitaly.socket';

const tried = new Set<string>();

function example(name: string, args: readonly string[], options: RunProgramOptions = {}): Promise<RunResult> {
  tried.add(name);
  return run(process.execPath, [...moduleOptions(), join(EXAMPLES, name), ...args], options);
}

/** Returns an example's output if it succeeds. */
async function printed(
  name: string,
  args: readonly string[] = [],
  options: RunProgramOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await example(name, args, options);
  assert.equal(code, 0, stderr);
  return stdout;
}

suite('the examples', { concurrency: 2 }, () => {
  let gitaly: TestGitaly;
  let address: string;
  let head: string;
  before(async () => {
    gitaly = await startGitaly({ tcp: true });
    address = gitaly.address;
    const path = join(gitaly.storagePath(), 'a.git');
    await runGit(['init', '-q', '--bare', '-b', 'main', path]);
    const blob = await runGit(['hash-object', '-w', '--stdin'], { cwd: path, input: '12345' });
    const tree = await runGit(['mktree'], { cwd: path, input: `100644 blob ${blob}\tfile.txt\n` });
    head = await runGit(['commit-tree', '-m', 'the subject', tree], { cwd: path });
    await runGit(['update-ref', 'refs/heads/main', head], { cwd: path });
  });
  after(() => gitaly[Symbol.asyncDispose]());

  /** Runs git with an example in place of ssh. */
  const gitOver = (name: string, ...args: string[]) => {
    tried.add(name);
    const words = [process.execPath, ...moduleOptions(), join(EXAMPLES, name)].map((word) => `"${word}"`);
    const command = `${words.join(' ')} ${address}`;
    return runGit(args, { cwd: ROOT, env: { GIT_SSH_COMMAND: command, GIT_SSH_VARIANT: 'simple' } });
  };

  test('read a repository', async () => {
    const missing = await example('read-a-repository.ts', [address, 'default', 'none.git']);

    assert.equal(
      await printed('read-a-repository.ts', [address, 'default', 'a.git']),
      `${head} the subject\nfile.txt 5n\n`,
    );
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /there is no none\.git/);
  });

  test('embed a server', async () => {
    assert.match(await printed('embed-a-server.ts'), /^unix:.* refs\/heads\/trunk\n$/);
  });

  test('connect', async () => {
    assert.match(
      await printed('basic-connection.ts', [address]),
      /^Gitaly \S+, git 2\.\S+\nstorage default\n$/,
    );
  });

  test('limit, cancel and label calls', async () => {
    const output = await printed('context.ts', [address]);

    assert.match(output, /^CANCELLED Error: the user went away\n.*\nDEADLINE_EXCEEDED\n$/s);
    assert.equal(gitaly.log.filter((line) => line.correlation_id === 'request-1').length, 1);
  });

  test('parse addresses', async () => {
    const { tcp = '' } = gitaly.addresses;
    const output = await printed('address-formats.ts', [
      address,
      tcp,
      `dns:localhost:${new URL(tcp).port}`,
      'nonsense',
      NOWHERE,
    ]);

    assert.equal(output.match(/is serving/g)?.length, 3, output);
    assert.match(output, /INVALID_ARGUMENT: invalid connection string: "nonsense"\n/);
    assert.match(output, /UNAVAILABLE: connection error: .*no such file or directory/);
  });

  test('sign calls', async () => {
    await using guarded = await startGitaly({ token: TOKEN });

    const output = await printed('authentication.ts', [guarded.address], { env: { GITALY_TOKEN: TOKEN } });

    assert.equal(
      output,
      'the token is right\nPERMISSION_DENIED permission denied: wrong hmac signature\nand right again\n',
    );
  });

  test('share connections', async () => {
    assert.equal(await printed('pool.ts', [address]), '20 requests, 1 connection\n');
    assert.match(
      await printed('pool-with-options.ts', [address]),
      /^dialing (\S+)\nready\nready\ndialing unix:\/nowhere\/gitaly.socket\ncould not dial source: connection error: .*\n$/,
    );
  });

  test('check the health', async () => {
    const missing = await example('health-check.ts', [NOWHERE]);

    assert.equal(await printed('health-check.ts', [address]), `${address} is healthy\nready\n`);
    assert.equal(missing.code, 1);
    // The time before the next attempt is about a second, too: the state may have changed.
    assert.match(
      missing.stdout,
      /^not healthy: UNAVAILABLE connection error.*\nstill (?:idle|connecting|transient_failure) after a second\n$/,
    );
  });

  test('fail fast on permanent errors', async () => {
    const missing = await example('fail-on-non-temporary-errors.ts', [NOWHERE]);

    assert.equal(await printed('fail-on-non-temporary-errors.ts', [address]), 'connected: ready\n');
    assert.equal(missing.code, 1);
    assert.match(
      missing.stdout,
      /^UNAVAILABLE: failed to dial "unix:\/nowhere\/gitaly\.socket" connection: .*no such file/,
    );
  });

  test('use sidechannels', async () => {
    const request = '0014command=ls-refs\n00010009peel\n0000';

    assert.equal(
      await printed('sidechannel-registry.ts', [address, 'default', 'a.git']),
      'references came over the sidechannel\n',
    );
    const { code, stdout, stderr } = await example(
      'dial-with-sidechannel.ts',
      [address, 'default', 'a.git'],
      { input: request },
    );
    assert.deepEqual([code, stderr], [0, '4 packets asked\n']);
    assert.match(stdout, new RegExp(`^[0-9a-f]{4}${head} HEAD\n[0-9a-f]{4}${head} refs/heads/main\n0000$`));
  });

  test('clone and push', async () => {
    const directory = join(gitaly.directory, 'work');
    mkdirSync(directory);
    const [one, two] = [join(directory, 'one'), join(directory, 'two')];
    await gitOver('upload-pack.ts', 'clone', '-q', 'ssh://default/a.git', one);
    await gitOver('upload-pack-with-sidechannel.ts', 'clone', '-q', 'ssh://default/a.git', two);
    for (const clone of [one, two]) assert.equal(gitOutput(clone, ['rev-parse', 'HEAD']), head);

    gitOutput(one, [
      '-c',
      'user.name=J',
      '-c',
      'user.email=j@x',
      'commit',
      '-q',
      '--allow-empty',
      '-m',
      'pushed',
    ]);
    await gitOver('receive-pack.ts', '-C', one, 'push', '-q', 'origin', 'HEAD:refs/heads/pushed');

    const pushed = gitOutput(join(gitaly.storagePath(), 'a.git'), ['log', '-1', '--format=%s', 'pushed']);
    assert.equal(pushed, 'pushed');
  });

  test('observe calls', async () => {
    assert.equal(
      await printed('interceptors.ts', [address]),
      'ServerInfo: 1 responses\nRefExists: INVALID_ARGUMENT\n',
    );
  });

  test('count the calls of a request', async () => {
    assert.match(
      await printed('rails-like.ts', [address]),
      /^1 call, [0-9.]+ s\nGitalyClient#call called 31 times from single request\. Potential n\+1\?\n$/,
    );
  });

  test('work with a repository, twice, and remove no other', async () => {
    await runGit(['init', '-q', '--bare', join(gitaly.storagePath(), 'scratch.git')]);
    const args = [address, 'default', 'scratch'];
    await printed('complete-example.ts', args);

    const output = await printed('complete-example.ts', args);

    const [first = '', ...rest] = output.split('\n');
    assert.equal(first, '2 commits, the last one is ours: true');
    assert.deepEqual(rest.slice(1, -3), [
      '@@ -1 +1 @@',
      '-# Hello',
      '+# Hello, world',
      '',
      '15 bytes: # Hello, world',
    ]);
    assert.match(output, /because of indexUpdate: /);
    const left = readdirSync(gitaly.storagePath()).filter((name) => name.startsWith('scratch'));
    assert.deepEqual(left, ['scratch.git']);
  });

  tried.add('ssh-gateway.ts'); // also if it is skipped
  test('start an SSH gateway', { skip: NO_OPENSSH }, async () => {
    await using server = await startGitaly();
    const keys = join(server.directory, 'authorized_keys');
    const key = await makeSshKey(join(server.directory, 'id'), 'ann');
    writeFileSync(keys, key.line);
    const gateway = spawn(process.execPath, [
      ...moduleOptions(),
      join(EXAMPLES, 'ssh-gateway.ts'),
      server.address,
      keys,
      '0',
    ]);
    const exited = once(gateway, 'exit');
    const [line] = await once(gateway.stdout, 'data');
    const [, url = '', port = ''] =
      /^(ssh:\/\/git@127\.0\.0\.1:(\d+)) \(host key SHA256:/.exec(String(line)) ?? [];
    const ssh = await sshArguments({
      directory: server.directory,
      gateway: { host: '127.0.0.1', port: Number(port) },
      hostKeyPath: `${keys}.host-key`,
      key: key.path,
    });
    const work = join(server.directory, 'work');
    await runGit(['init', '-q', '-b', 'main', work]);
    await runGit(['-C', work, 'commit', '-q', '--allow-empty', '-m', 'one']);

    await runGit(['-C', work, 'push', '-q', `${url}/new.git`, 'main'], { env: gitOverSsh(ssh) });
    const refs = await runGit(['ls-remote', `${url}/new.git`, 'main'], { env: gitOverSsh(ssh) });
    gateway.kill('SIGTERM');

    assert.equal(refs, `${await runGit(['-C', work, 'rev-parse', 'main'])}\trefs/heads/main`);
    assert.deepEqual(await exited, [0, null]);
  });

  after(() => {
    const names = readdirSync(EXAMPLES).filter((name) => name.endsWith('.ts') && name !== SHARED);
    assert.deepEqual([...tried].toSorted(), names.toSorted(), 'every example is tried');
    for (const name of names) {
      assert.ok(
        readFileSync(join(EXAMPLES, name), 'utf8').split('\n').length - 1 <= MAX_LINES,
        `${name} is short`,
      );
    }
  });
});
