import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import {
  gitOverSsh,
  makeSshKey,
  NO_OPENSSH,
  type SshKeyFile,
  sshArguments,
} from '#testkit/clients/ssh-client';
import { gitOutput } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { fill, mountSmall, refusal, unmount } from './faults/small-disk.ts';
import { gitalyTs, startUp } from './start-up.ts';
import { startUpFamily } from './workers/up-family.ts';

const scratch = makeScratchDirectory('access-log');
after(() => rmSync(scratch, { recursive: true }));
const [log, data, users] = [join(scratch, 'access.log'), join(scratch, 'data'), join(scratch, 'users')];
const PASSWORDS = { ann: 'secret-of-ann', bob: 'secret-of-bob' } as const;
for (const [name, rights] of [
  ['ann', ['--write']],
  ['bob', []],
] as const) {
  const { stdout } = await gitalyTs(['hash-password', name, ...rights], `${PASSWORDS[name]}\n`);
  writeFileSync(users, stdout, { flag: 'a' });
}
const { stdout: token } = await gitalyTs([
  ...['token', 'create', 'bot', '--to', data, '--repository', 'team/app', '--access', 'write'],
  ...['--ref', 'deny refs/heads/main', '--ref', 'allow **'],
]);
writeFileSync(log, '');
const up = await startUp({
  args: [data, '--http', '127.0.0.1:0', '--auth-file', users, '--tokens', '--log', log],
});
after(() => up[Symbol.asyncDispose]());

interface Line {
  readonly [field: string]: unknown;
  readonly references?: readonly Readonly<Record<string, string>>[];
}

let seen = 0;

/** The answer to the first request of git, which has no credentials yet. */
const SIGN_IN = 'Sign in with a name and a password, or a token.';

/** Runs something, and returns the lines that the log has of it: the last one has the operation. */
async function linesOf(work: () => Promise<unknown>, last: string): Promise<Line[]> {
  await work();
  const lines = (): Line[] => readLines(log).slice(seen);
  await until(
    () => lines().some(({ operation, reason }) => operation === last && reason !== SIGN_IN),
    () => readFileSync(log, 'utf8'),
  );
  const found = lines();
  seen += found.length;
  return found;
}

function readLines(path: string): Line[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

const urlOf = (name: keyof typeof PASSWORDS, repository = 'team/app.git'): string =>
  `${up.report.http.replace('://', `://${name}:${PASSWORDS[name]}@`)}/${repository}`;
const work = join(scratch, 'work');
const git = (...args: string[]): Promise<string> => runGit(['-C', work, ...args]);
await runGit(['init', '-q', '-b', 'main', work]);
gitOutput(work, ['commit', '-q', '--allow-empty', '-m', 'one']);
gitOutput(work, ['branch', 'other']);

test('a push is a line with user, credential, address, references, bytes and time', async () => {
  const before = Date.now();

  const lines = await linesOf(() => git('push', '-q', urlOf('ann'), 'main', 'other'), 'push');

  const { time, duration_ms: duration, bytes_in: bytesIn, bytes_out: bytesOut, ...rest } = lines.at(-1) ?? {};
  const commit = await git('rev-parse', 'main');
  assert.deepEqual(rest, {
    transport: 'http',
    operation: 'push',
    outcome: 'ok',
    user: 'ann',
    credential: 'password',
    address: '127.0.0.1',
    repository: 'team/app.git',
    references: ['main', 'other'].map((name) => ({
      name: `refs/heads/${name}`,
      old: '0'.repeat(40),
      new: commit,
    })),
    reference_count: 2,
  });
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.ok(Math.abs(Date.parse(String(time)) - before) < 60_000);
  assert.ok(Number(duration) > 0 && Number(bytesIn) > 100 && Number(bytesOut) > 10);
  assert.deepEqual(
    lines.map(({ operation, outcome, reason }) => [operation, outcome, reason]),
    [
      ['push', 'refused', SIGN_IN],
      ['ls-refs', 'ok', undefined],
      ['push', 'ok', undefined],
    ],
  );
});

for (const version of ['0', '2']) {
  test(`a clone, a fetch and a list of references are told apart with protocol ${version}`, async () => {
    const clone = join(scratch, `clone-${version}`);
    const protocol = ['-c', `protocol.version=${version}`];
    const cloning = await linesOf(() => runGit([...protocol, 'clone', '-q', urlOf('bob'), clone]), 'clone');
    gitOutput(work, ['commit', '-q', '--allow-empty', '-m', `for ${version}`]);
    await linesOf(() => git('push', '-q', urlOf('ann'), 'main'), 'push');

    const fetching = await linesOf(() => runGit([...protocol, '-C', clone, 'fetch', '-q']), 'fetch');
    const listing = await linesOf(() => runGit([...protocol, 'ls-remote', urlOf('bob')]), 'ls-refs');

    const accepted = [cloning, fetching, listing].map((lines) =>
      lines.filter(({ outcome }) => outcome === 'ok').map(({ operation }) => operation),
    );
    assert.deepEqual(accepted, [['ls-refs', 'clone'], ['ls-refs', 'fetch'], ['ls-refs']]);
    assert.equal(cloning.at(-1)?.user, 'bob');
    assert.ok(Number(cloning.at(-1)?.bytes_out) > 100);
  });
}

test('refusals are lines with their reason, and no line has a secret', async () => {
  const wrong = urlOf('ann').replace(PASSWORDS.ann, 'a-wrong-guess');
  const botUrl = `${up.report.http.replace('://', `://bot:${token.trim()}@`)}/team/app.git`;
  const refused = async (work: () => Promise<unknown>, operation: string): Promise<Line | undefined> =>
    (await linesOf(() => assert.rejects(work()), operation)).at(-1);
  gitOutput(work, ['commit', '-q', '--allow-empty', '-m', 'refused']);

  const guess = await refused(() => runGit(['ls-remote', wrong]), 'fetch');
  const reader = await refused(() => git('push', '-q', urlOf('bob'), 'main'), 'push');
  const missing = await refused(() => runGit(['ls-remote', urlOf('ann', 'no/such.git')]), 'fetch');
  const rule = await refused(() => git('push', '-q', botUrl, 'main', 'other:refs/heads/bot'), 'push');

  assert.deepEqual(
    [guess?.outcome, guess?.user, guess?.reason],
    ['refused', undefined, 'The name, password or token is wrong.'],
  );
  assert.deepEqual(
    [reader?.outcome, reader?.user, reader?.reason],
    ['refused', 'bob', 'You may read this repository, but not push to it.'],
  );
  assert.deepEqual([missing?.outcome, missing?.user, missing?.repository], ['refused', 'ann', 'no/such.git']);
  assert.deepEqual([rule?.outcome, rule?.user, rule?.credential], ['refused', 'bot', 'token']);
  assert.match(String(rule?.reason), /rule 1 of the token denies it/);
  assert.match(String(rule?.credential_name), /^[\w-]{8,}$/);
  const reasons = rule?.references?.map(({ name, reason }) => [name, reason === undefined]);
  assert.deepEqual(reasons?.[0], ['refs/heads/main', false]);
  const whole = readFileSync(log, 'utf8');
  for (const secret of [...Object.values(PASSWORDS), 'a-wrong-guess', token.trim()])
    assert.equal(whole.includes(secret), false);
});

test('a push that a hook refuses has the reason of git', async () => {
  const hooks = join(data, 'repositories/team/app.git/custom_hooks');
  mkdirSync(hooks);
  writeFileSync(
    join(hooks, 'update'),
    '#!/bin/sh\n[ "$1" != refs/heads/closed ] || { echo it is closed >&2; exit 1; }\n',
    {
      mode: 0o755,
    },
  );

  const pushing = () => git('push', urlOf('ann'), 'main', 'main:refs/heads/closed');
  const lines = await linesOf(() => assert.rejects(pushing()), 'push');
  rmSync(hooks, { recursive: true });

  const { outcome, reason, references } = lines.at(-1) ?? {};
  assert.equal(outcome, 'refused');
  assert.equal(reason, 'hook declined: it is closed');
  assert.deepEqual(references?.map((each) => [each.name, each.reason]).sort(), [
    ['refs/heads/closed', 'hook declined'],
    ['refs/heads/main', undefined],
  ]);
});

test('a client that leaves in the middle is a line with its outcome', async () => {
  const { hostname, port } = new URL(up.report.http);
  const authorization = Buffer.from(`ann:${PASSWORDS.ann}`).toString('base64');
  const leave = async (): Promise<void> => {
    const socket = connect(Number(port), hostname);
    socket.write(
      'POST /team/app.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n' +
        `Authorization: Basic ${authorization}\r\nExpect: 100-continue\r\n` +
        'Content-Type: application/x-git-receive-pack-request\r\n\r\n',
    );
    await once(socket, 'data'); // the server waits for the body
    socket.end(`00a8${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/x`);
    socket.destroySoon();
    await once(socket, 'close');
  };

  const lines = await linesOf(leave, 'push');

  assert.deepEqual(
    lines.map(({ outcome, user }) => [outcome, user]),
    [['aborted', 'ann']],
  );
});

test('the file is for its owner and group, and can be moved away: SIGHUP opens a new one', async () => {
  const moved = `${log}.1`;
  renameSync(log, moved);
  await runGit(['ls-remote', urlOf('ann')]);
  up.kill('SIGHUP');
  await until(() => statSync(log, { throwIfNoEntry: false }) !== undefined);
  const mode = statSync(log).mode & 0o777;

  await runGit(['ls-remote', urlOf('ann', 'hello.git')]);

  await until(() => readLines(log).length >= 1);
  assert.equal(mode, 0o640);
  assert.equal(readLines(moved).at(-1)?.repository, 'team/app.git');
  assert.equal(readLines(log).at(-1)?.repository, 'hello.git');
});

test('a full disk does not stop the server; lost lines are counted, others are whole', {
  skip: refusal(),
}, async () => {
  const directory = join(scratch, 'full');
  const disk = join(directory, 'disk');
  assert.equal(mountSmall(disk, 1 << 20), undefined);
  try {
    const file = join(disk, 'log');
    await using other = await startUp({
      args: [join(directory, 'data'), '--http', '127.0.0.1:0', '--log', file],
    });
    const read = () => runGit(['ls-remote', `${other.report.http}/hello.git`]);
    await read();
    await until(() => statSync(file).size > 0);
    fill(disk, 0);
    const pageBytes = 4096; // of which the first line takes a part
    await until(async () => {
      await read();
      return statSync(file).size >= pageBytes;
    });
    rmSync(join(disk, 'filler'));
    await read();
    await read();
    await until(() => readFileSync(file, 'utf8').includes('log lines dropped'));

    const lines = readFileSync(file, 'utf8').trim().split('\n');
    const broken = lines.filter((line) => !line.startsWith('{') || !line.endsWith('}'));
    assert.ok(broken.length <= 1, broken.join('\n'));
    const note = lines.map((line) => (broken.includes(line) ? {} : (JSON.parse(line) as Line)));
    assert.ok(note.some(({ count, msg }) => msg === 'log lines dropped' && Number(count) >= 1));
    assert.equal(await other.stop('SIGTERM'), 0);
  } finally {
    unmount(disk);
  }
});

/** Reads the references of a repository once, on a connection of its own. */
async function readReferences(http: string): Promise<void> {
  const url = `${http}/hello.git/info/refs?service=git-upload-pack`;
  const [response] = await once(get(url, { agent: false }), 'response');
  assert.equal(response.statusCode, 200);
  assert.match(await text(response), / refs\/heads\/main\n0000$/);
}

test('with worker processes each line arrives whole, and all of them open the log again', async () => {
  const directory = makeScratchDirectory('access-log');
  const file = join(directory, 'log');
  await using server = await startUpFamily({ args: ['--log', file], directory });
  const read = (): Promise<void> => readReferences(server.http);
  const [rounds, atOnce] = [20, 12];
  for (let round = 0; round < rounds; round++) await Promise.all(Array.from({ length: atOnce }, read));
  await until(
    () => readLines(file).filter(({ operation }) => operation === 'ls-refs').length === rounds * atOnce,
  );

  renameSync(file, `${file}.1`);
  server.process.kill('SIGHUP');
  await until(() => statSync(file, { throwIfNoEntry: false }) !== undefined);
  // Each worker has the message as soon as requests add no line to the moved file.
  const written = (): number => readLines(file).length + readLines(`${file}.1`).length;
  await until(async () => {
    const [before, all] = [readLines(`${file}.1`).length, written()];
    for (const _ of [1, 2, 3, 4]) await read();
    await until(() => written() >= all + 4);
    return readLines(`${file}.1`).length === before;
  });

  assert.equal(await server.stop('SIGTERM'), 0);
});

test('the log of SSH has users, keys, refused logins and commands', { skip: NO_OPENSSH }, async () => {
  const directory = join(scratch, 'ssh');
  mkdirSync(directory);
  const file = join(directory, 'log');
  const key = await makeSshKey(join(directory, 'key'), 'ann');
  const stranger = await makeSshKey(join(directory, 'stranger'), 'eve');
  const { stdout: print } = await run('ssh-keygen', ['-l', '-f', `${key.path}.pub`]);
  await using other = await startUp({
    args: [
      ...[join(directory, 'data'), '--http', 'off', '--ssh', '127.0.0.1:0', '--ssh-keys', `${key.path}.pub`],
      ...['--log', file, '--log-format', 'text'],
    ],
  });
  const { hostname: host, port } = new URL(other.report.ssh);
  const hostKeyPath = join(directory, 'data/ssh_host_ed25519_key');
  const argumentsOf = async ({ path }: SshKeyFile): Promise<string[]> =>
    await sshArguments({ directory, gateway: { host, port: Number(port) }, hostKeyPath, key: path });
  const ssh = async (of: SshKeyFile) => ({ env: gitOverSsh(await argumentsOf(of)) });
  const command = async (line: string): Promise<number | null> =>
    (await run('ssh', [...(await argumentsOf(key)), '-p', port, `git@${host}`, line])).code;
  const url = `${other.report.ssh}/team/app.git`;
  const lines = (): string[] => readFileSync(file, 'utf8').trim().split('\n');

  await runGit(['-C', work, 'push', '-q', url, 'main'], await ssh(key));
  await runGit(['clone', '-q', url, join(directory, 'clone')], await ssh(key));
  await runGit(['archive', '--remote', url, '-o', join(directory, 'x.tar'), 'main'], await ssh(key));
  await assert.rejects(runGit(['ls-remote', url], await ssh(stranger)));
  await assert.rejects(runGit(['ls-remote', `${other.report.ssh}/no.git`], await ssh(key)));
  assert.equal(await command('repo list'), 0);
  assert.equal(await command('repo rename team/app team/site'), 1);
  assert.equal(await command('repo rename'), 2);
  await until(
    () => lines().length >= 8,
    () => lines().join('\n'),
  );

  const word = (line: string, name: string): string | undefined =>
    new RegExp(` ${name}=(\\S+)`).exec(line)?.[1];
  assert.deepEqual(
    lines()
      .map((line) => ['operation', 'outcome', 'user'].map((name) => word(line, name)))
      .sort(),
    [
      ['archive', 'ok', 'ann'],
      ['clone', 'ok', 'ann'],
      ['command', 'failed', 'ann'],
      ['command', 'ok', 'ann'],
      ['command', 'refused', 'ann'],
      ['fetch', 'refused', 'ann'],
      ['login', 'refused', undefined],
      ['push', 'ok', 'ann'],
    ],
  );
  const push = lines().find((line) => line.includes('operation=push')) ?? '';
  assert.ok(push.includes(`credential_name=${print.split(' ')[1]}`), push);
  assert.match(push, /references=refs\/heads\/main:0{40}\.\.[0-9a-f]{40} reference_count=1/);
  assert.match(lines().find((line) => line.includes('operation=login')) ?? '', /offered_key=SHA256:\S{43}/);
});
