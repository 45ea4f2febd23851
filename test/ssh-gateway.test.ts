// Own process: it measures memory

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { authorizedKeysFile, type SshGateway, startSshGateway, storageMapping } from '#gateway/index';
import { gitOverSsh, makeSshKey, NO_OPENSSH, sshArguments } from '#testkit/clients/ssh-client';
import { processesIn } from '#testkit/measure/process-usage';
import { FLUSH, packet } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const LARGE_BYTES = 32 << 20;
/** A busy machine needs long for a large pack. */
const PACK_LIMIT_MS = 120_000;

suite('git over the SSH gateway, with OpenSSH', { skip: NO_OPENSSH }, () => {
  let gitaly: TestGitaly;
  let gateway: SshGateway;
  let directory: string;
  let keysPath: string;
  let hostKeyPath: string;
  let ssh: readonly string[];
  let environment: Record<string, string | undefined>;
  const failures: unknown[] = [];

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ssh-gateway-'));
    keysPath = join(directory, 'authorized_keys');
    hostKeyPath = join(directory, 'ssh_host_ed25519_key');
    gitaly = await startGitaly();
    const key = await makeSshKey(join(directory, 'id'), 'ann@laptop');
    writeFileSync(keysPath, `# people\n${key.line}\n`);
    gateway = await startSshGateway({
      gitaly: { address: gitaly.address },
      listen: { host: '127.0.0.1', port: 0 },
      mapping: storageMapping('default'),
      createOnPush: {},
      hostKeyPath,
      access: authorizedKeysFile(keysPath),
      onFailure: (error) => failures.push(error),
    });
    ssh = await sshArguments({ directory, gateway, hostKeyPath, key: key.path });
    environment = gitOverSsh(ssh);
  });
  after(async () => {
    await gateway.close();
    await gitaly[Symbol.asyncDispose]();
    assert.deepEqual(processesIn(gitaly.directory), [], 'git was left running');
    rmSync(directory, { recursive: true, force: true });
  });

  const git = (...args: string[]) => runGit(args, { env: environment });
  const tryGit = (...args: string[]) => run('git', args, { env: environment });
  const serverPath = (name: string) => join(gitaly.storagePath(), name);
  const command = (text: string, env: Record<string, string> = {}): Promise<RunResult> =>
    run('ssh', [...ssh, '-p', String(gateway.port), 'git@127.0.0.1', text], { env });

  async function commit(work: string, name: string, content: string | Buffer): Promise<void> {
    writeFileSync(join(work, name), content);
    await git('-C', work, 'add', '.');
    await git('-C', work, 'commit', '-q', '-m', name);
  }

  /** Returns a work tree with two commits on `main` and a tag, pushed to a new repository. */
  async function pushed(name: string): Promise<{ work: string; url: string }> {
    const work = join(directory, `work-${name}`);
    const url = `${gateway.url}/${name}`;
    await git('init', '-q', '-b', 'main', work);
    await git('-C', work, 'config', 'core.compression', '0');
    await commit(work, 'one.txt', 'one\n'.repeat(100));
    await commit(work, 'two.txt', 'two\n'.repeat(100));
    await git('-C', work, 'tag', '-a', '-m', 'first', 'v1');
    await git('-C', work, 'remote', 'add', 'origin', url);
    await git('-C', work, 'push', '-q', '-u', 'origin', 'main', 'v1');
    return { work, url };
  }

  /** Creates a repository on the server with a pack of a given size. */
  async function large(name: string, size: number): Promise<string> {
    const { work, url } = await pushed(name);
    await commit(work, 'large.bin', randomBytes(size));
    // Otherwise the server compresses the object when it arrives, and for each clone.
    await git('-C', serverPath(name), 'config', 'core.compression', '0');
    await git('-C', work, '-c', 'core.compression=0', 'push', '-q');
    return url;
  }

  let stalled: Promise<string> | undefined;
  /** Creates the repository of clones that do not end, once. */
  const stalledUrl = (): Promise<string> => (stalled ??= large('stalled.git', LARGE_BYTES));

  async function assertSameRefs(work: string, name: string): Promise<void> {
    const refs = '--format=%(objectname) %(refname)';
    const here = await git('-C', work, 'for-each-ref', refs, 'refs/heads', 'refs/tags');
    assert.equal(await git('-C', serverPath(name), 'for-each-ref', refs), here);
    await git('-C', serverPath(name), 'fsck', '--full', '--strict');
  }

  /** Waits until no git works in a repository any more. */
  async function assertNoGitLeft(name: string): Promise<void> {
    await until(
      () => processesIn(serverPath(name)).length === 0,
      () => processesIn(serverPath(name)).join('\n'),
    );
  }

  // The gateway printed seven lines around "user canceled the request"; OpenSSH prints none.
  test('who gives up gets the reason of git alone', async () => {
    const { work, url } = await pushed('given-up.git');

    for (const args of [
      ['clone', '-q', '--branch', 'nope', url, join(directory, 'nope')],
      ['-c', 'protocol.version=0', 'clone', '-q', '--branch', 'nope', url, join(directory, 'nope')],
      ['-C', work, 'push', '-q', '--signed', 'origin', 'main:signed'],
    ]) {
      const { code, stderr } = await tryGit(...args);

      assert.equal(code, 128);
      assert.doesNotMatch(stderr, /^remote:/m);
    }
  });

  for (const protocol of ['0', '1', '2']) {
    test(`a push to a new name creates the repository, a clone gets the same (v${protocol})`, async () => {
      const { work, url } = await pushed(`new${protocol}.git`);
      const clone = join(directory, `clone-${protocol}`);

      await git('-c', `protocol.version=${protocol}`, 'clone', '-q', url, clone);

      assert.equal(
        await git('-C', clone, 'rev-parse', 'HEAD', 'v1'),
        await git('-C', work, 'rev-parse', 'HEAD', 'v1'),
      );
      await git('-C', clone, 'fsck', '--full', '--strict');
      await assertSameRefs(work, `new${protocol}.git`);
    });

    test(`GIT_PROTOCOL reaches git, protocol v${protocol}`, async () => {
      const { url } = await pushed(`trace${protocol}.git`);

      const { stderr } = await run('git', ['-c', `protocol.version=${protocol}`, 'ls-remote', url], {
        env: { ...environment, GIT_TRACE_PACKET: '1' },
      });

      const version = /< version (\d)/.exec(stderr)?.[1] ?? '0';
      assert.equal(version, protocol);
    });
  }

  test('a shallow clone has one commit and can be deepened', async () => {
    const { url } = await pushed('shallow.git');
    const clone = join(directory, 'clone-shallow');

    await git('clone', '-q', '--depth=1', url, clone);
    assert.equal(await git('-C', clone, 'rev-list', '--count', 'HEAD'), '1');
    await git('-C', clone, 'fetch', '-q', '--unshallow');
    assert.equal(await git('-C', clone, 'rev-list', '--count', 'HEAD'), '2');
  });

  test('a partial clone fetches a blob when it is needed', async () => {
    const { url } = await pushed('partial.git');
    const clone = join(directory, 'clone-partial');

    await git('clone', '-q', '--filter=blob:none', '--no-checkout', url, clone);

    assert.match(await git('-C', clone, 'rev-list', '--objects', '--missing=print', 'HEAD'), /^\?/m);
    assert.match(await git('-C', clone, 'cat-file', '-p', 'HEAD:one.txt'), /^one$/m);
  });

  test('branches are updated, forced and deleted', async () => {
    const { work } = await pushed('update.git');
    await git('-C', work, 'branch', 'side');
    await git('-C', work, 'push', '-q', 'origin', 'side');
    await assertSameRefs(work, 'update.git');

    await git('-C', work, 'reset', '-q', '--hard', 'HEAD~1');
    await assert.rejects(git('-C', work, 'push', '-q'), /non-fast-forward/);
    await git('-C', work, 'push', '-q', '--force');
    await git('-C', work, 'branch', '-D', '-q', 'side');
    await git('-C', work, 'push', '-q', 'origin', ':side');
    await assertSameRefs(work, 'update.git');
  });

  test('a hook refuses a push, knows the user, and its output reaches the client', async () => {
    const { work } = await pushed('hook.git');
    const hooks = join(serverPath('hook.git'), 'custom_hooks');
    mkdirSync(hooks);
    writeFileSync(
      join(hooks, 'pre-receive'),
      '#!/bin/sh\necho "who: $GL_ID $GL_USERNAME $GL_PROTOCOL"\nexit 1\n',
    );
    chmodSync(join(hooks, 'pre-receive'), 0o755);
    const refs = await git('-C', serverPath('hook.git'), 'for-each-ref');
    await commit(work, 'three.txt', 'three\n');

    const { code, stderr } = await tryGit('-C', work, 'push', 'origin', 'main');

    assert.equal(code, 1);
    assert.match(stderr, /remote: who: key-2 ann@laptop ssh/); // the second line of the file
    assert.match(stderr, /pre-receive hook declined/);
    assert.equal(await git('-C', serverPath('hook.git'), 'for-each-ref'), refs);
  });

  test("an archive equals git's archive of the same commit", async () => {
    const { work, url } = await pushed('archive.git');

    const remote = await git('archive', `--remote=${url}`, '--format=tar', 'main', 'two.txt');
    const refused = await tryGit('archive', `--remote=${url}`, 'no-such-branch');

    assert.equal(remote, await git('-C', work, 'archive', '--format=tar', 'main', 'two.txt'));
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /no such ref: no-such-branch/);
  });

  test('a missing repository is reported as such, and not created by a fetch', async () => {
    const { code, stderr } = await tryGit('clone', '-q', `${gateway.url}/none.git`, join(directory, 'none'));

    assert.equal(code, 128);
    assert.match(stderr, /^remote: There is no such repository\. Check the address\.$/m);
    assert.equal(existsSync(serverPath('none.git')), false);
  });

  test('the metadata of a call identifies the user', async () => {
    const { url } = await pushed('who.git');

    await git('ls-remote', url);

    const line = gitaly.log.findLast((entry) => entry['grpc.method'] === 'SSHUploadPackWithSidechannel');
    assert.deepEqual([line?.user_id, line?.username, line?.remote_ip], ['key-2', 'ann@laptop', '127.0.0.1']);
  });

  for (const [what, text] of [
    ['another program', 'ls /'],
    ['another command of git', "git-shell 'a.git'"],
    ['a second command', "git-upload-pack 'a.git'; id"],
    ['a path out of the storage', "git-upload-pack '../../a.git'"],
    ['options', "git-upload-pack --strict 'a.git'"],
  ] as const) {
    test(`${what} is refused with a reason`, async () => {
      const { code, stderr, stdout } = await command(text);

      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.match(stderr, /^remote: ={72}\nremote: \nremote: [A-Z].*\.\nremote: \nremote: ={72}$/m);
    });
  }

  test('a login without a command prints a greeting and ends', async () => {
    const { code, stdout } = await run('ssh', [...ssh, '-T', '-p', String(gateway.port), 'git@127.0.0.1']);

    assert.equal(code, 0);
    assert.match(stdout, /You are logged in as ann@laptop\. This server has no shell/);
  });

  test('forwarding and file transfer are not supported', async () => {
    const args = [...ssh, '-p', String(gateway.port)];

    const remote = await run('ssh', [
      ...args,
      '-o',
      'ExitOnForwardFailure=yes',
      '-N',
      '-R',
      '0:127.0.0.1:1',
      'git@127.0.0.1',
    ]);
    const direct = await run('ssh', [...args, '-W', '127.0.0.1:1', 'git@127.0.0.1']);
    const sftp = await run('ssh', [...args, '-s', 'git@127.0.0.1', 'sftp']);

    assert.notEqual(remote.code, 0);
    assert.match(remote.stderr, /remote port forwarding failed/);
    assert.match(direct.stderr, /forwarding failed/);
    assert.match(sftp.stderr, /subsystem request failed/);
  });

  test('a key that is not in the file is refused, and accepted when it is added', async () => {
    const { url } = await pushed('keys.git');
    const other = await makeSshKey(join(directory, 'id-other'), 'bob', ['-t', 'rsa', '-b', '2048']);
    const env = gitOverSsh(await sshArguments({ directory, gateway, hostKeyPath, key: other.path }));
    const ask = () => run('git', ['ls-remote', url], { env });
    const keys = readFileSync(keysPath, 'utf8');

    const refused = await ask();
    writeFileSync(keysPath, `${keys}${other.line}\n`);
    const admitted = await ask();
    writeFileSync(keysPath, keys);
    const refusedAgain = await ask();

    assert.deepEqual([refused.code, admitted.code, refusedAgain.code], [128, 0, 128]);
    assert.match(refused.stderr, /Permission denied \(publickey\)/);
  });

  test('the host key is generated once, is private, and has the printed fingerprint', async () => {
    const { stdout } = await run('ssh-keygen', ['-l', '-f', hostKeyPath]);

    assert.match(readFileSync(hostKeyPath, 'utf8'), /^-----BEGIN OPENSSH PRIVATE KEY-----\n/);
    assert.ok(stdout.includes(` ${gateway.fingerprint} `), `${stdout} has not ${gateway.fingerprint}`);
    assert.ok(stdout.includes('(ED25519)'));
  });

  test('keys are exchanged again during a clone and during a push', async () => {
    const rekeying = { GIT_SSH_COMMAND: `${environment.GIT_SSH_COMMAND} -o RekeyLimit=1M` };
    const url = await large('rekey.git', 4 << 20);
    const clone = join(directory, 'clone-rekey');

    await runGit(['clone', '-q', url, clone], { env: { ...environment, ...rekeying } });
    await commit(clone, 'more.bin', randomBytes(4 << 20));
    await runGit(['-C', clone, '-c', 'core.compression=0', 'push', '-q'], {
      env: { ...environment, ...rekeying },
    });

    await git('-C', clone, 'fsck', '--full', '--strict');
    await assertSameRefs(clone, 'rekey.git');
  });

  test('a client that stops reading stops git, and the buffered data is bounded', async () => {
    const name = 'stalled.git';
    const url = await stalledUrl();
    const path = new URL(url).pathname;
    const before = process.memoryUsage().rss;
    const client = spawn(
      'ssh',
      [...ssh, '-p', String(gateway.port), 'git@127.0.0.1', `git-upload-pack '${path}'`],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    const oid = await git('-C', serverPath(name), 'rev-parse', 'main');
    client.stdin.write(
      `${packet(`want ${oid} ofs-delta side-band-64k no-progress\n`)}${FLUSH}${packet('done\n')}`,
    );
    client.stdout.pause();

    await delay(2000); // time in which a buffer without a limit would fill
    const grown = process.memoryUsage().rss - before;
    const running = processesIn(serverPath(name));
    client.kill('SIGKILL');

    assert.notDeepEqual(running, [], 'git should wait for the client');
    assert.ok(grown < LARGE_BYTES / 2, `${grown} bytes more while nobody reads`);
    await assertNoGitLeft(name);
  });

  test('a client that is killed during a clone ends git', async () => {
    const url = await stalledUrl();
    // The client reads a part and then stops, so that it is killed in the middle.
    const part = 'dd bs=64k count=100 status=none; sleep 300';
    const reading = `read_part() { ${environment.GIT_SSH_COMMAND} "$@" | { ${part}; }; }; read_part`;
    const clone = spawn('git', ['clone', '-q', '--bare', url, join(directory, 'clone-killed')], {
      env: { ...process.env, ...environment, GIT_SSH_COMMAND: reading, GIT_SSH_VARIANT: 'ssh' },
      detached: true,
      stdio: 'ignore',
    });
    await growingPack(join(directory, 'clone-killed'));

    await killGroup(clone);

    await assertNoGitLeft('stalled.git');
    await git('ls-remote', url);
  });

  test('a client that is killed during a push changes nothing and leaves nothing', async () => {
    const { work } = await pushed('half.git');
    const hooks = join(serverPath('half.git'), 'custom_hooks');
    mkdirSync(hooks);
    writeFileSync(join(hooks, 'pre-receive'), '#!/bin/sh\nexit 0\n');
    chmodSync(join(hooks, 'pre-receive'), 0o755);
    const refs = await git('-C', serverPath('half.git'), 'for-each-ref');
    // This many objects are stored as received, in a pack.
    for (let i = 0; i < 200; i++) writeFileSync(join(work, `${i}.bin`), randomBytes(LARGE_BYTES / 200));
    await commit(work, 'large.bin', randomBytes(100));
    const push = spawn('git', ['-C', work, '-c', 'core.compression=0', 'push', '-q'], {
      env: { ...process.env, ...environment },
      detached: true,
      stdio: 'ignore',
    });
    await growingPack(serverPath('half.git'));

    await killGroup(push);

    await assertNoGitLeft('half.git');
    assert.equal(await git('-C', serverPath('half.git'), 'for-each-ref'), refs);
    await git('-C', serverPath('half.git'), 'fsck', '--full', '--strict');
    await git('-C', work, 'push', '-q');
    await assertSameRefs(work, 'half.git');
  });

  test('none of these tests caused a failure of the gateway', () => {
    assert.deepEqual(failures, []);
  });
});

/** Waits until git has started to write a pack in a repository. */
async function growingPack(repository: string): Promise<void> {
  const sizeOf = (pack: string): number =>
    statSync(join(repository, pack), { throwIfNoEntry: false })?.size ?? 0;
  await until(
    () =>
      globSync('objects/{pack,tmp_objdir*/pack}/tmp_pack_*', { cwd: repository }).some(
        (pack) => sizeOf(pack) > 0,
      ),
    `nothing is written in ${repository}`,
    PACK_LIMIT_MS,
  );
}

async function killGroup(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  process.kill(-(child.pid ?? 0), 'SIGKILL');
  await exited;
}
