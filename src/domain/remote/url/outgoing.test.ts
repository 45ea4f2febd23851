import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { deflateSync } from 'node:zlib';
import { flag, gitCommand } from '#git/command/git-command';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { type GitHttpServer, startGitHttpServer } from '#testkit/servers/git-http-server';
import { type OutgoingRemote, prepareOutgoing } from './outgoing-remote.ts';
import { type OutgoingLimits, runOutgoing } from './run-outgoing.ts';

const REMOTE: OutgoingRemote = {
  url: 'http://127.0.0.1/',
  resolvedAddress: '',
  authorization: '',
  userInfo: 'asked',
  allowsLocal: false,
};
const SECRET = 'c3VwZXItc2VjcmV0';

async function listHeads(fixture: StorageFixture, remote: Partial<OutgoingRemote>, limits?: OutgoingLimits) {
  await using outgoing = await prepareOutgoing({ ...REMOTE, ...remote }, fixture.storage);
  const command = gitCommand('ls-remote', { options: [flag('--heads')], args: [outgoing.url] });
  const { signal } = new AbortController();
  const run = { outgoing, signal, limits, writesTo: undefined, hooks: undefined };
  return await runOutgoing(fixture.git, command, run);
}

const BASIC = `Basic ${Buffer.from(`user:${SECRET}`).toString('base64')}`;
const ASKS: Parameters<GitHttpServer['reset']>[1] = {
  '/asks/info/refs?service=git-upload-pack': (_request, response) => {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
  },
};

function withUser(web: GitHttpServer, userInfo: string): string {
  return web.url.replace('http://', `http://${userInfo}@`);
}

// Mirrors with outdated credentials of a public repository failed.
test('user and password of the URL are sent when the server asks for them', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('x.git', { commits: 1 });
  await using web = await startGitHttpServer(fixture.storage.path);

  const open = await listHeads(fixture, { url: `${withUser(web, `user:${SECRET}`)}/r/x.git` });

  assert.match(open.stdout, /refs\/heads\/main/);
  assert.deepEqual([...new Set(web.calls.map((call) => call.authorization))], [undefined]);

  web.reset();
  const closed = await listHeads(fixture, { url: `${withUser(web, 'user:p%61ss')}/auth/x.git` });

  assert.match(closed.stdout, /refs\/heads\/main/);
  const basic = `Basic ${Buffer.from('user:pass').toString('base64')}`;
  assert.deepEqual([...new Set(web.calls.map((call) => call.authorization))], [undefined, basic]);
});

test('a header is sent with the first request, in place of user and password', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('x.git', { commits: 1 });
  await using web = await startGitHttpServer(fixture.storage.path);
  const authorization = `Bearer ${SECRET}`;
  const url = `${withUser(web, 'user:other')}/r/x.git`;

  for (const userInfo of ['asked', 'proactive'] as const)
    assert.equal((await listHeads(fixture, { url, authorization, userInfo })).failure, undefined);

  assert.deepEqual([...new Set(web.calls.map((call) => call.authorization))], [authorization]);
});

for (const { userInfo, text, expected } of [
  { userInfo: 'always', text: `user:${SECRET}`, expected: BASIC },
  { userInfo: 'always', text: 'user', expected: 'Basic dXNlcg==' },
  { userInfo: 'proactive', text: `user:${SECRET}`, expected: BASIC },
  { userInfo: 'proactive', text: 'user', expected: undefined },
  { userInfo: 'proactive', text: 'user:', expected: undefined },
  { userInfo: 'proactive', text: `:${SECRET}`, expected: undefined },
  { userInfo: 'asked', text: `user:${SECRET}`, expected: undefined },
] as const)
  test(`the first request has ${expected ?? 'nothing'} for ${text} when used ${userInfo}`, async () => {
    await using fixture = await StorageFixture.create();
    await using web = await startGitHttpServer(fixture.storage.path);

    await listHeads(fixture, { url: `${withUser(web, text)}/s/404/x.git`, userInfo });

    assert.equal(web.calls[0]?.authorization, expected);
  });

for (const userInfo of ['asked', 'proactive'] as const)
  test(`wrong credentials fail as git's own do, when used ${userInfo}`, async () => {
    await using fixture = await StorageFixture.create();
    await using web = await startGitHttpServer(fixture.storage.path);
    web.reset({}, ASKS);
    const url = `${withUser(web, `user:${SECRET}`)}/asks`;
    const expected = await gitFailure(['ls-remote', url]);

    const { failure } = await listHeads(fixture, { url, userInfo });

    assert.match(expected, /^fatal: Authentication failed for/);
    assert.equal(failure?.stderr, expected);
    assert.doesNotMatch(JSON.stringify([failure.argv, failure.stderr]), new RegExp(SECRET));
  });

test('a user without a password fails as git\u2019s own does', async () => {
  await using fixture = await StorageFixture.create();
  await using web = await startGitHttpServer(fixture.storage.path);
  web.reset({}, ASKS);
  const url = `${withUser(web, 'user')}/asks`;
  const expected = await gitFailure(['ls-remote', url]);

  const { failure } = await listHeads(fixture, { url });

  assert.match(expected, /^fatal: could not read Password for/);
  assert.equal(failure?.stderr, expected);
});

test('no program\u2019s arguments contain the password', async () => {
  await using fixture = await StorageFixture.create();
  await using web = await startGitHttpServer(fixture.storage.path);
  const arrived = Promise.withResolvers<void>();
  web.reset({}, { '/waits/info/refs?service=git-upload-pack': () => arrived.resolve() });
  const url = `${withUser(web, `user:${SECRET}`)}/waits`;

  const listing = listHeads(fixture, { url, userInfo: 'proactive' }, { maxBytes: 1, maxMs: 3_000 });
  const running = await Promise.race([arrived.promise.then(commandLines), listing.then(() => [])]);

  assert.ok(running.some((line) => line.includes('remote-http')));
  assert.deepEqual(
    running.filter((line) => line.includes(SECRET)),
    [],
  );
  await assert.rejects(listing, { code: 'DEADLINE_EXCEEDED' });
});

test('a line feed in a password is refused', async () => {
  await using fixture = await StorageFixture.create();

  const listing = listHeads(fixture, { url: 'http://user:a%0ahost=other@127.0.0.1/' });

  await assert.rejects(listing, {
    code: 'INVALID_ARGUMENT',
    message: 'invalid user or password in the URL',
  });
});

test('a header with a line feed is refused', async () => {
  await using fixture = await StorageFixture.create();

  const listing = listHeads(fixture, { authorization: 'x\r\nHost: other' });

  await assert.rejects(listing, { code: 'INVALID_ARGUMENT', message: 'invalid authorization header' });
});

for (const url of ['ext::sh -c "touch evil"', 'fd::7', 'ftp://127.0.0.1/x', 'file:///', '/']) {
  test(`the protocol of ${url} is not allowed`, async () => {
    await using fixture = await StorageFixture.create();

    const { failure } = await listHeads(fixture, { url });

    assert.match(failure?.stderr ?? '', /^fatal: transport '(ext|fd|ftp|file)' not allowed$/m);
  });
}

test('redirects are not followed', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('x.git', { commits: 1 });
  await using web = await startGitHttpServer(fixture.storage.path);

  const { failure } = await listHeads(fixture, { url: `${web.url}/redir/x.git` });

  assert.match(failure?.stderr ?? '', /302/);
  assert.equal(web.calls.length, 1);
});

test('the pinned address is used instead of the name', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('x.git', { commits: 1 });
  await using web = await startGitHttpServer(fixture.storage.path);

  const { failure } = await listHeads(fixture, {
    url: `http://example.invalid:${web.port}/r/x.git`,
    resolvedAddress: '127.0.0.1',
  });

  assert.equal(failure, undefined);
  assert.equal(web.calls[0]?.host, `example.invalid:${web.port}`);
});

test('a server that is silent for too long fails the command', async () => {
  await using fixture = await StorageFixture.create();
  await using web = await startGitHttpServer(fixture.storage.path);
  web.reset({}, { '/slow/info/refs?service=git-upload-pack': () => {} });

  const listing = listHeads(fixture, { url: `${web.url}/slow` }, { maxBytes: 1, maxMs: 300 });

  await assert.rejects(listing, { code: 'DEADLINE_EXCEEDED' });
});

test('files with the credentials of ssh are for their owner, and gone afterwards', async () => {
  await using fixture = await StorageFixture.create();
  const ssh = { key: 'the key', knownHosts: 'the hosts' };
  let directory = '';
  {
    await using outgoing = await prepareOutgoing({ ...REMOTE, url: 'ssh://x.test/a', ssh }, fixture.storage);
    const command = outgoing.env.GIT_SSH_COMMAND ?? '';
    const [, key = ''] = /-oIdentityFile=([^' ]*)/.exec(command) ?? [];
    const [, hosts = ''] = /-oUserKnownHostsFile=([^' ]*)/.exec(command) ?? [];
    directory = join(key, '..');
    assert.equal(readFileSync(key, 'utf8'), 'the key');
    assert.equal(readFileSync(hosts, 'utf8'), 'the hosts');
    assert.equal(statSync(key).mode & 0o777, 0o400);
    assert.deepEqual(command.split(' '), [
      'ssh',
      '-oIdentitiesOnly=yes',
      `-oIdentityFile=${key}`,
      '-oStrictHostKeyChecking=yes',
      '-oCheckHostIP=no',
      `-oUserKnownHostsFile=${hosts}`,
    ]);
    assert.equal(outgoing.env.SSH_ASKPASS_REQUIRE, 'force');
  }
  assert.equal(existsSync(directory), false);
});

test('a clone larger than the limit is ended', async () => {
  await using fixture = await StorageFixture.create();
  await using web = await startGitHttpServer(fixture.storage.path);
  initRepository(join(fixture.storage.path, 'x.git'), { commits: 1 });
  // The advertisement is real; the pack begins and never ends.
  const [oid] = gitOutput(join(fixture.storage.path, 'x.git'), ['rev-parse', 'main']).split('\n');
  const packet = (text: string) => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`;
  const timers = new Set<NodeJS.Timeout>();
  web.reset(
    {},
    {
      '/big/info/refs?service=git-upload-pack': (_request, response) => {
        response.setHeader('content-type', 'application/x-git-upload-pack-advertisement');
        const first = packet(`${oid} HEAD\0symref=HEAD:refs/heads/main side-band-64k\n`);
        const refs = `${first}${packet(`${oid} refs/heads/main\n`)}`;
        response.end(`${packet('# service=git-upload-pack\n')}0000${refs}0000`);
      },
      '/big/git-upload-pack': (request, response) => {
        request.resume();
        response.setHeader('content-type', 'application/x-git-upload-pack-result');
        response.write(packet('NAK\n'));
        const header = Buffer.from('PACK\0\0\0\x02\0\xff\xff\xff', 'latin1');
        const send = (data: Buffer) => {
          const length = (data.length + 5).toString(16).padStart(4, '0');
          response.write(Buffer.concat([Buffer.from(`${length}\x01`), data]));
        };
        send(header);
        const empty = blobOf(Buffer.alloc(0));
        const timer = setInterval(() => send(Buffer.concat(Array.from({ length: 1000 }, () => empty))), 1);
        timers.add(timer);
        response.on('close', () => clearInterval(timer));
      },
    },
  );
  await using outgoing = await prepareOutgoing({ ...REMOTE, url: `${web.url}/big` }, fixture.storage);
  const directory = join(fixture.root, 'clone.git');
  const command = gitCommand('clone', { options: [flag('--bare')], args: [outgoing.url, directory] });
  const { signal } = new AbortController();
  const limits = { maxBytes: 1000, maxMs: 60_000 };

  const cloning = runOutgoing(fixture.git, command, {
    outgoing,
    signal,
    limits,
    writesTo: directory,
  });

  await assert.rejects(cloning, { code: 'RESOURCE_EXHAUSTED', message: 'remote repository is too large' });
  for (const timer of timers) clearInterval(timer);
  assert.deepEqual(readdirSync(fixture.root).includes('clone.git'), false);
});

/** Returns a blob as an entry of a pack. */
function blobOf(content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x30 | content.length]), deflateSync(content)]);
}

/** Returns what git prints when it fails, without passwords. */
async function gitFailure(args: readonly string[]): Promise<string> {
  const run = promisify(execFile)('git', args, { env: { ...process.env, ...GIT_ENVIRONMENT } });
  return await run.then(
    () => assert.fail('git must fail'),
    // execFile's errors have the output.
    (error: { stderr: string }) => error.stderr.replace(/user:[^@']*@|user@(?=.*Authentication)/g, ''),
  );
}

/** Returns the arguments of all processes that this user can see. */
function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')];
      } catch {
        return []; // it has ended
      }
    });
}
