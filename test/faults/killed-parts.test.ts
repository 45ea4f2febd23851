import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { globSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { commandLine, openDescriptors, processIdsIn, residentBytes } from '#testkit/measure/process-usage';
import { GIT_ENVIRONMENT, runGit } from '#testkit/repositories/run-git';
import { until } from '#testkit/until';
import { SSHService } from '#wire/gen/ssh_pb';
import { Arena, client, commit } from './arena.ts';

const LARGE_BYTES = 4 * 1024 ** 2;
/** In addition to those of the earlier tests. */
const SPARE_DESCRIPTORS = 3;
const DEAF_CLIENTS = 20;
const CHATTER_MIB = 8;
const MAX_GROWTH_BYTES = 64 * 1024 ** 2;

let arena: Arena;
let descriptors: number;
before(async () => {
  arena = await Arena.start();
  await arena.pushedLarge('large', LARGE_BYTES);
  await arena.settles();
  descriptors = openDescriptors(arena.gitaly.pid) + SPARE_DESCRIPTORS;
});
after(() => arena[Symbol.asyncDispose]());

/**
 * Starts git as a client whose reader stops it after the first bytes, so that it is in the middle
 * until it is killed.
 */
function start(args: readonly string[]): ChildProcess {
  // Its own process group, so that git's helpers are killed with it.
  return spawn('git', args, {
    env: { ...process.env, ...GIT_ENVIRONMENT },
    stdio: ['ignore', 'ignore', 'ignore'],
    detached: true,
  });
}

function kill(child: ChildProcess): void {
  process.kill(-(child.pid ?? 0), 'SIGKILL');
}

/** Returns the git processes that work on a repository for a call. */
function gitsOf(name: string, command: RegExp): number[] {
  return processIdsIn(arena.serverPath(name)).filter((pid) => command.test(commandLine(pid)));
}

async function healthy(): Promise<void> {
  await arena.settles();
  await arena.releases(descriptors);
  const again = join(arena.clients, `again-${performance.now()}`);
  await runGit(['clone', '-q', '--bare', arena.url('large'), again]);
}

test('a client that is killed in the middle of a clone leaves nothing running', async () => {
  for (let times = 0; times < 2; times++) {
    const clone = start([
      'clone',
      '-q',
      '--bare',
      arena.url('large'),
      join(arena.clients, `killed-${times}`),
    ]);
    await until(() => gitsOf('large', /upload-pack/).length > 0);
    kill(clone);
  }

  await healthy();
});

test('a client whose connection breaks in the middle of a clone leaves nothing running', async () => {
  const { channel, failed, readOn } = await stalledFetch();

  channel.destroy();
  readOn();
  assert.equal(await failed, 'UNAVAILABLE');

  await healthy();
});

/**
 * Starts a fetch of everything whose pack has started to arrive and is not read. `failed` resolves
 * with its code.
 */
async function stalledFetch(): Promise<{
  channel: GrpcChannel;
  failed: Promise<unknown>;
  readOn: () => void;
}> {
  const channel = connectGrpc(connect(arena.gitaly.address.slice('unix:'.length)));
  const head = await runGit(['-C', arena.serverPath('large'), 'rev-parse', 'main']);
  const readOn = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const requests = (async function* () {
    yield { repository: { storageName: 'default', relativePath: 'large.git' } };
    yield { stdin: Buffer.from(`0032want ${head}\n00000009done\n`) };
    await readOn.promise; // git receives no end of input
  })();
  const fetch = async (): Promise<unknown> => {
    let bytes = 0;
    for await (const { stdout } of channel.invoke(callable(SSHService.method.sSHUploadPack), requests)) {
      bytes += stdout.length;
      if (bytes < 10_000) continue;
      begun.resolve();
      await readOn.promise;
    }
    return 'OK';
  };
  const failed = fetch().catch((error: unknown) => error instanceof Error && 'code' in error && error.code);
  await begun.promise;
  return { channel, failed, readOn: readOn.resolve };
}

test(`${DEAF_CLIENTS} clients that stop reading a clone cost little and disturb nobody`, async (context) => {
  const memory = residentBytes(arena.gitaly.pid);

  const stalled = await Promise.all(Array.from({ length: DEAF_CLIENTS }, stalledFetch));
  await runGit(['clone', '-q', '--bare', arena.url('large'), join(arena.clients, 'beside-deaf-ones')]);
  const grown = residentBytes(arena.gitaly.pid) - memory;
  context.diagnostic(`+${Math.round(grown / 1024 ** 2)} MiB`);
  assert.ok(grown < MAX_GROWTH_BYTES, `${grown} bytes`);

  for (const { channel } of stalled) channel.destroy();
  for (const { readOn } of stalled) readOn();
  await Promise.all(stalled.map(({ failed }) => failed));
  await healthy();
});

test('a client that is killed during a push changes nothing and leaves nothing running', async () => {
  const work = await arena.pushed('pushed');
  const before = await arena.references('pushed');
  for (const delayMs of [0, 100]) {
    await commit(work, 'large', Buffer.alloc(LARGE_BYTES, `${delayMs} ${Math.random()}`));
    const push = start(['-C', work, '-c', 'pack.compression=0', 'push', '-q', 'origin', 'main:killed']);
    await until(() => gitsOf('pushed', /unpack-objects|index-pack/).length > 0);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    kill(push);
    await until(() => gitsOf('pushed', /receive-pack/).length === 0);
  }

  await arena.settles();
  await arena.releases(descriptors);
  const [main, killed, ...others] = (await arena.references('pushed')).split('\n').toReversed();
  assert.equal(main, before);
  // The last bytes of a push may have been sent before the client was killed.
  assert.match(killed ?? 'refs/heads/killed ', /^refs\/heads\/killed /);
  assert.deepEqual(others, []);
  await arena.fsck('pushed');
  assert.equal((await client(work, ['push', '-q', '--force', 'origin', 'main'])).code, 0);
});

for (const command of [/git.* upload-pack/, /git.* pack-objects/]) {
  test(`killing the server's ${command.source.slice(6)} during a clone affects one client`, async () => {
    const { channel, failed, readOn } = await stalledFetch();

    const [pid = 0] = gitsOf('large', command);
    process.kill(pid, 'SIGKILL');
    readOn();

    assert.equal(await failed, 'INTERNAL');
    channel.destroy();
    await healthy();
  });
}

// A lock stayed until somebody removed it, also after a restart of the server.
test("killing the server's receive-pack during a push changes nothing and leaves nothing", async () => {
  const work = await arena.pushed('cut');
  const before = await arena.references('cut');
  await commit(work, 'large', Buffer.alloc(LARGE_BYTES, 'x'));
  arena.installHook('pre-receive', 'sleep 30');

  // of two references: receive-pack is not needed for one
  const pushing = client(work, ['push', '-q', 'origin', 'main', 'main:second']);
  await until(() => gitsOf('cut', /sleep 30/).length > 0);
  assert.notEqual(gitsOf('cut', /receive-pack/).length, 0);
  // As if it had been killed a moment later.
  writeFileSync(join(arena.serverPath('cut'), 'refs/heads/main.lock'), '');
  for (const pid of gitsOf('cut', /receive-pack/)) process.kill(pid, 'SIGKILL');
  const { code } = await pushing;

  assert.notEqual(code, 0);
  assert.equal(await arena.references('cut'), before);
  await until(
    () => gitsOf('cut', /./).length === 0,
    () => gitsOf('cut', /./).map(commandLine).join('\n'),
  );
  await arena.fsck('cut');
  arena.removeHooks();
  const leftIn = (pattern: string): string[] => globSync(pattern, { cwd: arena.serverPath('cut') });
  await until(() => leftIn('refs/**/*.lock').length === 0, 'the lock stays');
  await until(() => leftIn('objects/tmp_objdir-*').length === 0, 'the quarantine stays');
  assert.equal((await client(work, ['push', '-q', 'origin', 'main'])).code, 0);
});

test('a hook that is killed refuses the push', async () => {
  const work = await arena.pushed('hook-killed');
  const before = await arena.references('hook-killed');
  await commit(work, 'two', 'two\n');
  arena.installHook('pre-receive', 'kill -9 $$');

  const { code, stderr } = await client(work, ['push', 'origin', 'main']);
  arena.removeHooks();

  assert.notEqual(code, 0);
  assert.match(stderr, /pre-receive hook declined/);
  assert.equal(await arena.references('hook-killed'), before);
  assert.equal((await client(work, ['push', '-q', 'origin', 'main'])).code, 0);
  await arena.settles();
});

test('a hook that hangs ends with its client, and its children with it', async () => {
  const work = await arena.pushed('hook-hangs');
  const before = await arena.references('hook-hangs');
  await commit(work, 'two', 'two\n');
  arena.installHook('pre-receive', 'sleep 1000 & sleep 1001');

  const push = start(['-C', work, 'push', '-q', 'origin', 'main']);
  await until(() => gitsOf('hook-hangs', /sleep 1001/).length > 0);
  kill(push);
  await until(
    () => gitsOf('hook-hangs', /./).length === 0,
    () => gitsOf('hook-hangs', /./).map(commandLine).join('\n'),
  );
  arena.removeHooks();

  assert.equal(await arena.references('hook-hangs'), before);
  await arena.settles();
});

test('a hook that prints megabytes is read in full, with little memory', async (context) => {
  const work = await arena.pushed('hook-chatty');
  await commit(work, 'two', 'two\n');
  const line = 'x'.repeat(1023);
  const lines = CHATTER_MIB * 512;
  arena.installHook('pre-receive', `yes ${line} | head -n ${lines}\nyes ${line} | head -n ${lines} >&2`);
  const memory = residentBytes(arena.gitaly.pid);

  const pushing = client(work, ['push', 'origin', 'main']);
  let highest = memory;
  const watch = setInterval(() => {
    highest = Math.max(highest, residentBytes(arena.gitaly.pid));
  }, 20);
  const { code, stderr } = await pushing;
  clearInterval(watch);
  arena.removeHooks();

  assert.equal(code, 0, stderr.slice(-500));
  assert.equal(stderr.match(/x{1023}/g)?.length, 2 * lines);
  context.diagnostic(`+${Math.round((highest - memory) / 1024 ** 2)} MiB for ${CHATTER_MIB} MiB of chatter`);
  assert.ok(highest - memory < MAX_GROWTH_BYTES, `${(highest - memory) / 1024 ** 2} MiB`);
  await arena.settles();
});

test('a hook that does not read its input does not stop a push of many references', async () => {
  const work = await arena.pushed('hook-deaf');
  const head = await runGit(['-C', work, 'rev-parse', 'HEAD']);
  const input = Array.from(
    { length: 1000 },
    (_, number) => `create refs/heads/branch-${number} ${head}\n`,
  ).join('');
  await runGit(['-C', work, 'update-ref', '--stdin'], { input });
  arena.installHook('pre-receive', 'exit 0');
  arena.installHook('post-receive', 'exec <&-');

  const { code, stderr } = await client(work, ['push', '-q', 'origin', 'refs/heads/*:refs/heads/*']);
  arena.removeHooks();

  assert.equal(code, 0, stderr);
  assert.equal((await arena.references('hook-deaf')).split('\n').length, 1001);
  await arena.settles();
});

test('a hook that leaves a daemon that keeps its output open does not block the push', async () => {
  const work = await arena.pushed('hook-daemon');
  await commit(work, 'two', 'two\n');
  arena.installHook('post-receive', 'sleep 5 & echo done');

  const { code, stderr } = await client(work, ['push', 'origin', 'main']);
  arena.removeHooks();

  assert.equal(code, 0, stderr);
  assert.match(stderr, /remote: done/);
  await arena.settles();
});
