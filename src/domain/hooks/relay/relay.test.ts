import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Git } from '#git/command/git';
import { flag, gitCommand } from '#git/command/git-command';
import { packet } from '#testkit/repositories/push';
import { until } from '#testkit/until';
import { HooksDirectories, RELAYED_HOOKS, type RelayedHook } from '../hooks-directories.ts';
import { RELAY_ENVIRONMENT, RELAY_PIPES, type RelayHandler, serveRelay } from './relay.ts';
import type { RelayCall } from './relay-parser.ts';

const ZERO = '0'.repeat(40);
const ALL = new Set<RelayedHook>(RELAYED_HOOKS);

async function pushBed(t: TestContext, shell?: string) {
  const root = await mkdtemp(join(tmpdir(), 'relay-'));
  t.after(() => rm(root, { recursive: true }));
  const path = join(root, 'r.git');
  const git = (...args: string[]): string => {
    return execFileSync('git', args, {
      cwd: root,
      env: {
        ...process.env,
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_AUTHOR_NAME: 'a',
        GIT_AUTHOR_EMAIL: 'a@b',
        GIT_COMMITTER_NAME: 'a',
        GIT_COMMITTER_EMAIL: 'a@b',
      },
    })
      .toString()
      .trim();
  };
  git('init', '-q', '--bare', path);
  const oid = git(
    '--git-dir',
    path,
    'commit-tree',
    '-m',
    'x',
    git('--git-dir', path, 'hash-object', '-t', 'tree', '-w', '/dev/null'),
  );
  const directories = await HooksDirectories.create(root);
  t.after(() => directories[Symbol.asyncDispose]());
  if (shell !== undefined) {
    // Another interpreter for the same script: all directories link to one copy.
    const relay = join(directories.directoryFor(ALL) ?? '', '../relay');
    await writeFile(relay, readFileSync(relay, 'utf8').replace('#!/bin/sh', `#!${shell}`));
    await chmod(relay, 0o755);
  }
  const runner = await Git.start({ binary: 'git' });

  /**
   * Runs a push of the given commands and options; the pack is the empty one, since the repository
   * has the commit.
   */
  async function push(
    lines: readonly string[],
    handle: RelayHandler,
    {
      options = [] as string[],
      hooks = ALL,
      env = RELAY_ENVIRONMENT as Readonly<Record<string, string>>,
    } = {},
  ) {
    const capabilities = `report-status${options.length > 0 ? ' push-options' : ''}`;
    const commands = lines.map((line, index) => packet(index === 0 ? `${line}\0${capabilities}` : line));
    const body = `${commands.join('')}0000`;
    const tail = options.length > 0 ? `${options.map(packet).join('')}0000` : '';
    const pack = Buffer.from('5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e', 'hex');
    const repository = {
      path,
      objectDirectory: join(path, 'objects'),
      alternateObjectDirectories: [],
      knownObjectFormat: 'sha1' as const,
    };
    const directory = directories.directoryFor(hooks) ?? '';
    await using run = runner.spawn(
      gitCommand('receive-pack', { options: [flag('--stateless-rpc')], args: [path] }),
      {
        repository,
        stdin: 'pipe',
        extraPipes: RELAY_PIPES,
        hooks: { directory, env },
      },
    );
    const [requests, answers] = run.extra;
    assert.ok(requests !== undefined && answers !== undefined);
    const errors: unknown[] = [];
    const served = serveRelay(requests, answers, handle, (error) => errors.push(error));
    run.stdin.end(Buffer.concat([Buffer.from(body + tail), pack]));
    const report = (await buffer(run.stdout)).toString();
    await run.exited;
    await served;
    return { report, stderr: run.stderr(), errors };
  }
  return { path, oid, git, push };
}

for (const shell of ['/bin/sh', '/bin/bash']) {
  test(`git receive-pack reaches the server through the relay (${shell})`, async (t) => {
    const { path, oid, push, git } = await pushBed(t, shell);
    const calls: RelayCall[] = [];

    const { report, errors } = await push(
      [`${ZERO} ${oid} refs/heads/a`, `${ZERO} ${oid} refs/heads/b`],
      async (call) => {
        calls.push(call);
        return 0;
      },
      { options: ['one', '', 'two = 3'] },
    );

    assert.deepEqual(errors, []);
    assert.match(report, /unpack ok\n.*ok refs\/heads\/a\n.*ok refs\/heads\/b\n/s);
    assert.equal(git('--git-dir', path, 'rev-parse', 'refs/heads/b'), oid);
    const [first] = calls;
    assert.equal(first?.hook, 'pre-receive');
    assert.deepEqual(first?.pushOptions, ['one', '', 'two = 3']);
    assert.equal(first?.stdin.toString(), `${ZERO} ${oid} refs/heads/a\n${ZERO} ${oid} refs/heads/b\n`);
    assert.match(first?.environment.GIT_OBJECT_DIRECTORY ?? '', /objects\/(tmp_objdir-)?incoming-/);
    assert.equal(calls.at(-1)?.hook, 'post-receive');
    const updates = calls.filter((call) => call.hook === 'update').map((call) => call.args.map(String));
    assert.deepEqual(updates, [
      ['refs/heads/a', ZERO, oid],
      ['refs/heads/b', ZERO, oid],
    ]);
    assert.ok(
      calls.some((call) => call.hook === 'reference-transaction' && String(call.args[0]) === 'committed'),
    );
  });

  test(`a hook prints any bytes and is refused with any status (${shell})`, async (t) => {
    const { oid, push } = await pushBed(t, shell);
    const bytes = Buffer.concat([
      Buffer.from([0, 255, 10, 0x4b, 10]),
      Buffer.alloc(5000, 'x'),
      Buffer.from('\nend'),
    ]);

    const { report, stderr } = await push([`${ZERO} ${oid} refs/heads/a`], async (_, output) => {
      const pieces = [Buffer.from('X 0\n'), Buffer.alloc(0), Buffer.from('!')];
      await Promise.all([output.stdout(bytes), ...pieces.map((piece) => output.stderr(piece))]);
      return -1;
    });

    assert.match(report, /ng refs\/heads\/a pre-receive hook declined/);
    assert.equal(stderr, `${bytes}X 0\n!`);
  });

  test(`no name or option can pass for a line of the protocol (${shell})`, async (t) => {
    const { oid, push } = await pushBed(t, shell);
    const calls: RelayCall[] = [];
    const evil = 'x\nD\n .\n.\nH post-receive\n';

    await push(
      [`${ZERO} ${oid} refs/heads/a\n.\nK\nH x`, `${ZERO} ${oid} refs/heads/b`],
      async (call) => {
        calls.push(call);
        return 1;
      },
      { options: [evil, 'last'] },
    );

    assert.equal(calls.length, 1);
    // git itself removes one line feed at the end
    assert.deepEqual(calls[0]?.pushOptions, [evil.trimEnd(), 'last']);
    assert.equal(
      calls[0]?.stdin.toString(),
      `${ZERO} ${oid} refs/heads/a\n.\nK\nH x\n${ZERO} ${oid} refs/heads/b\n`,
    );
  });
}

test('a push of very many references comes through whole', async (t) => {
  const { oid, push } = await pushBed(t);
  const lines = Array.from({ length: 5000 }, (_, index) => `${ZERO} ${oid} refs/heads/branch-${index}`);
  let seen = '';

  await push(lines, async (call) => {
    seen = call.stdin.toString();
    return 1;
  });

  assert.equal(seen, `${lines.join('\n')}\n`);
});

test('only the hooks of the set are started', async (t) => {
  const { oid, push } = await pushBed(t);
  const hooks: string[] = [];

  const { report } = await push(
    [`${ZERO} ${oid} refs/heads/a`],
    async (call) => {
      hooks.push(call.hook);
      return 0;
    },
    { hooks: new Set<RelayedHook>(['post-receive']) },
  );

  assert.match(report, /ok refs\/heads\/a/);
  assert.deepEqual(hooks, ['post-receive']);
});

test('a call that cannot be answered refuses the push with a text that says nothing', async (t) => {
  const { oid, push } = await pushBed(t);

  const { report, stderr, errors } = await push([`${ZERO} ${oid} refs/heads/a`], async () => {
    throw new Error('secret reason');
  });

  assert.match(report, /ng refs\/heads\/a pre-receive hook declined/);
  assert.equal(stderr, 'error executing git hook\n');
  assert.deepEqual(errors.map(String), ['Error: secret reason']);
});

test('a hook that no server runs fails', async (t) => {
  const { oid, push } = await pushBed(t);

  const { report, stderr } = await push([`${ZERO} ${oid} refs/heads/a`], async () => 0, { env: {} });

  assert.match(report, /pre-receive hook declined/);
  assert.equal(stderr, 'error executing git hook\n');
});

/** The server's and the hook's ends of the two descriptors, without a hook. */
function relayPair(handle: RelayHandler) {
  const [hookRequests, requests] = duplexPair();
  const [hookAnswers, answers] = duplexPair();
  const errors: unknown[] = [];
  const served = serveRelay(requests, answers, handle, (error) => errors.push(error));
  hookRequests.write('H update\nD\n.\n');
  return { requests, answers, hookRequests, hookAnswers, errors, served };
}

test('a piece is sent when the hook has printed the one before, and an empty one not at all', async () => {
  const { hookRequests, hookAnswers, served, errors } = relayPair(async (_, output) => {
    await Promise.all([
      output.stdout(Buffer.from('one')),
      output.stderr(Buffer.alloc(0)),
      output.stdout(Buffer.from('two')),
    ]);
    return 0x103;
  });
  let text = '';
  hookAnswers.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  for (const sent of ['B 3\none', 'B 3\noneB 3\ntwo', 'B 3\noneB 3\ntwoX 3\n']) {
    await until(() => text.length >= sent.length);
    for (let turns = 0; turns < 5; turns++) await turn();
    assert.equal(text, sent);
    hookRequests.write('K\n');
  }
  hookRequests.end();
  await served;

  assert.deepEqual(errors, []);
});

test('a hook that is gone ends what is printed for it, and its call is over when serving ends', async () => {
  let isOver = false;
  const { requests, answers, served, errors } = relayPair(async (_, output) => {
    await assert.rejects(
      Promise.all([output.stdout(Buffer.from('unread')), output.stdout(Buffer.from('never sent'))]),
      /^Error: hook relay: the hook is gone$/,
    );
    await turn();
    isOver = true;
    return 0;
  });
  await until(() => answers.writableLength > 0 || requests.readableDidRead);
  await turn();

  requests.destroy();
  await served;

  assert.equal(isOver, true);
  assert.ok(answers.destroyed);
  // Only the status could not be sent: that the server has closed its end itself is no error.
  assert.deepEqual(errors.map(String), ['Error: hook relay: the hook is gone']);
});

test('requests that break off or make no sense are reported', async () => {
  const broken = relayPair(async () => 0);
  broken.requests.destroy(new Error('broken'));
  await broken.served;
  const odd = relayPair(async () => 0);
  odd.hookRequests.write('nonsense\n');
  await odd.served;

  assert.deepEqual(broken.errors.map(String), ['Error: broken']);
  assert.deepEqual(odd.errors.map(String), ['Error: hook relay: call expected']);
  assert.ok(broken.answers.destroyed && odd.answers.destroyed);
});

test('a reader that is slow is waited for', async () => {
  let isPrinted = false;
  const { hookRequests, hookAnswers, served } = relayPair(async (_, output) => {
    await output.stdout(Buffer.alloc(1 << 20));
    isPrinted = true;
    return 0;
  });
  let bytes = 0;
  hookAnswers.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await until(() => bytes === (1 << 20) + 'B 1048576\n'.length);
  assert.equal(isPrinted, false);
  hookRequests.end('K\n');
  await served;

  assert.equal(isPrinted, true);
});
