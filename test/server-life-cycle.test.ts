import assert from 'node:assert/strict';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { receivePack } from '#client/index';
import { programCommand } from '#testkit/programs/program-command';
import { FLUSH, packet } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';

const repository = { storageName: 'default', relativePath: 'a.git' };
/** Required limit: an idle server ends within 2 s, and on a slow machine that of a start later. */
const IDLE_STOP_LIMIT_MS = 2_000;

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`an idle server ends soon after ${signal} and leaves nothing behind`, async () => {
    const startedAt = performance.now();
    await using gitaly = await startGitalyProcess();
    const limitMs = IDLE_STOP_LIMIT_MS + performance.now() - startedAt;
    const connection = await gitaly.connect();
    await connection.repository.createRepository({ repository });
    await connection.repository.hasLocalBranches({ repository });

    const askedAt = performance.now();
    gitaly.kill(signal);

    assert.equal(await gitaly.exited, 0, gitaly.log());
    const tookMs = performance.now() - askedAt;
    assert.ok(tookMs < limitMs, `took ${tookMs} ms of ${limitMs}`);
    assertNothingLeft(gitaly);
  });
}

test('a stop waits for the running call, and refuses new connections', async () => {
  await using gitaly = await startGitalyProcess();
  const push = await startPush(gitaly);

  gitaly.kill('SIGTERM');
  await logged(gitaly, 'starting grace period');
  const refused = gitaly
    .connect()
    .then((connection) => connection.server.readinessCheck({}, { timeoutMs: 1000 }));
  await assert.rejects(refused);
  push.finish();

  assert.equal((await push.result).exitCode, 0);
  assert.equal(await gitaly.exited, 0, gitaly.log());
  assert.equal(
    await refsOf(gitaly),
    await runGit(['for-each-ref', '--format=%(refname) %(objectname)'], { cwd: push.source }),
  );
  assertNothingLeft(gitaly);
});

test('a second signal ends running calls at once, with exit code 1 and without orphans', async () => {
  await using gitaly = await startGitalyProcess();
  const push = await startPush(gitaly);

  gitaly.kill('SIGTERM');
  await logged(gitaly, 'starting grace period');
  gitaly.kill('SIGTERM');

  await assert.rejects(push.result);
  assert.equal(await gitaly.exited, 1, gitaly.log());
  assert.match(gitaly.log(), /wait: force shutdown/);
  assertNothingLeft(gitaly);
  assert.deepEqual(await childrenOf(gitaly), []);
});

test('the grace period ends with exit code 1', async () => {
  await using gitaly = await startGitalyProcess({ grace: '300ms' });
  const push = await startPush(gitaly);

  gitaly.kill('SIGTERM');

  await assert.rejects(push.result);
  assert.equal(await gitaly.exited, 1, gitaly.log());
  assert.match(gitaly.log(), /wait: grace period expired/);
});

test('after a kill during a push references are old or new, and leftovers are removed', async () => {
  const directory = makeScratchDirectory('killed');
  try {
    {
      await using killed = await startGitalyProcess({ directory });
      const push = await startPush(killed);
      killed.kill('SIGKILL');
      await assert.rejects(push.result);
      await killed.exited;
    }
    assert.equal(readdirSync(join(directory, 'run')).length, 1, 'the killed server had no time to clean up');
    const leftover = join(directory, 'default/+gitaly/tmp/leftover');
    writeFileSync(leftover, '');
    const eightDaysAgo = Date.now() / 1000 - 8 * 24 * 3600;
    for (const old of [leftover, ...quarantinesIn(directory)]) utimesSync(old, eightDaysAgo, eightDaysAgo);

    await using gitaly = await startGitalyProcess({ directory });

    assert.equal(await refsOf(gitaly), '', 'the push had not ended, so its reference is not there');
    await runGit(['fsck', '--strict'], { cwd: join(directory, 'default', repository.relativePath) });
    assert.deepEqual(
      readdirSync(join(directory, 'run')),
      [`gitaly-${gitaly.pid}`],
      'the runtime directory of the dead is gone',
    );
    await until(() => !existsSync(leftover));
    const again = await startPush(gitaly, { isNew: false });
    again.finish();
    assert.equal((await again.result).exitCode, 0);
    assert.deepEqual(quarantinesIn(directory), []);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('an invalid configuration ends with exit code 1 and names the key, before a socket opens', async () => {
  const directory = makeScratchDirectory('config');
  try {
    const config = join(directory, 'config.toml');
    const socket = join(directory, 'gitaly.socket');
    writeFileSync(
      config,
      `socket_path = "${socket}"\n[[storage]]\nname = "default"\npath = "${directory}/missing"\n`,
    );

    const { code, stderr } = await run(process.execPath, [...programCommand('gitaly'), 'serve', config]);

    assert.equal(code, 1);
    assert.match(stderr, /storage/);
    assert.ok(stderr.includes(config) && stderr.includes(`${directory}/missing`), stderr);
    assert.equal(existsSync(socket), false);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

interface Push {
  readonly source: string;
  readonly result: Promise<{ exitCode: number }>;
  /** Lets the client continue. */
  finish(): void;
}

/**
 * Starts a push through SSHReceivePack. Resolves when it has sent its commands and half of its
 * pack.
 */
async function startPush(gitaly: GitalyProcess, options: { isNew?: boolean } = {}): Promise<Push> {
  const connection = await gitaly.connect();
  if (options.isNew !== false) await connection.repository.createRepository({ repository });
  const source = mkdtempSync(join(gitaly.directory, 'source-'));
  await runGit(['init', '-q', '--bare', source]);
  const blob = await runGit(['hash-object', '-w', '--stdin'], {
    cwd: source,
    input: 'content\n'.repeat(5000),
  });
  const tree = await runGit(['mktree'], { cwd: source, input: `100644 blob ${blob}\tfile\n` });
  const commit = await runGit(['commit-tree', '-m', 'one', tree], { cwd: source });
  await runGit(['update-ref', 'refs/heads/main', commit], { cwd: source });
  const packName = await runGit(['pack-objects', '--revs', join(gitaly.directory, 'pack')], {
    cwd: source,
    input: 'main\n',
  });
  const pack = readFileSync(join(gitaly.directory, `pack-${packName}.pack`));

  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const advertised = new Promise((resolve) => stdout.once('data', resolve));
  const request = {
    repository: { ...repository, glRepository: 'project-1' },
    glId: 'user-1',
    glRepository: 'project-1',
  };
  const result = receivePack(connection, { stdin, stdout, stderr: new PassThrough().resume() }, request);
  result.catch(() => undefined); // asserted by the test
  await advertised;
  stdout.resume();
  const command = `${'0'.repeat(40)} ${commit} refs/heads/main\0report-status`;
  stdin.write(packet(command) + FLUSH);
  stdin.write(pack.subarray(0, pack.length / 2));
  await until(() => hasQuarantine(gitaly));
  return { source, result, finish: () => stdin.end(pack.subarray(pack.length / 2)) };
}

/** Reports whether git has started to receive a pack. */
function hasQuarantine(gitaly: GitalyProcess): boolean {
  return quarantinesIn(gitaly.directory).length > 0;
}

function quarantinesIn(directory: string): string[] {
  const objects = join(directory, 'default', repository.relativePath, 'objects');
  return readdirSync(objects)
    .filter((name) => name.includes('incoming-'))
    .map((name) => join(objects, name));
}

function refsOf(gitaly: GitalyProcess): Promise<string> {
  return runGit(['for-each-ref', '--format=%(refname) %(objectname)'], {
    cwd: join(gitaly.directory, 'default', repository.relativePath),
  });
}

/** Returns the processes that work in the server's directory. */
async function childrenOf(gitaly: GitalyProcess): Promise<string[]> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(gitaly.directory);
    } catch {
      return false; // gone meanwhile
    }
  });
}

function assertNothingLeft(gitaly: GitalyProcess): void {
  assert.equal(existsSync(join(gitaly.directory, 'gitaly.socket')), false, 'socket');
  assert.deepEqual(readdirSync(join(gitaly.directory, 'run')), [], 'runtime directory');
  const temp = join(gitaly.directory, 'default/+gitaly/tmp');
  assert.deepEqual(existsSync(temp) ? readdirSync(temp) : [], [], 'temporary directories');
}

function logged(gitaly: GitalyProcess, text: string): Promise<void> {
  return until(() => gitaly.log().includes(text));
}
