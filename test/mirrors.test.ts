import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { Command } from 'commander';
import { addRepoCommands, type RepoProcess } from '#cli/commands/repo-commands';
import { dial } from '#client/index';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitHttpServer, startGitHttpServer } from '#testkit/servers/git-http-server';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { never, until } from '#testkit/until';
import { MirrorDirectory } from '#tools/mirror/mirror-directory';
import { dueMs, startMirrors } from '#tools/mirror/run-mirrors';

const NAME = 'copy.git';

/** A server, a source behind HTTP, and a directory with mirrors. */
class Site implements AsyncDisposable {
  readonly directory = makeScratchDirectory('mirrors');
  readonly mirrors = new MirrorDirectory(this.directory);
  readonly source = join(this.directory, 'source.git');
  readonly failures: string[] = [];
  readonly resources = new AsyncDisposableStack();
  declare readonly gitaly: TestGitaly;
  declare readonly web: GitHttpServer;

  static async open(): Promise<Site> {
    const site = new Site();
    site.resources.defer(() => rmSync(site.directory, { recursive: true, force: true }));
    initRepository(site.source, { commits: 2 });
    const gitaly = site.resources.use(await startGitaly());
    const web = site.resources.use(await startGitHttpServer(site.directory));
    Object.assign(site, { gitaly, web });
    await gitaly.connection.repository.createRepository({
      repository: { storageName: 'default', relativePath: NAME },
    });
    return site;
  }

  run(): AsyncDisposable {
    return startMirrors({
      directory: this.mirrors,
      storage: 'default',
      connect: () => dial(this.gitaly.address),
      onFailure: (failure) => this.failures.push(failure),
    });
  }

  get copy(): string {
    return join(this.gitaly.storagePath(), NAME);
  }

  async ran(count = 1): Promise<void> {
    let runs = new Set<string>();
    await until(
      async () => {
        runs = runs.add((await this.mirrors.lastRun(NAME))?.at ?? '');
        runs.delete('');
        return runs.size >= count;
      },
      () => `run ${count}: ${this.failures.join('\n')}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

const references = (path: string): string =>
  gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)']);

test('a mirror follows its source with the credentials of its file, which nothing shows', async () => {
  await using site = await Site.open();
  gitOutput(site.source, ['branch', 'gone']);
  gitOutput(site.source, ['branch', 'trunk', 'main~1']);
  gitOutput(site.source, ['symbolic-ref', 'HEAD', 'refs/heads/trunk']);
  const mirror = { repository: NAME, url: `${site.web.url}/auth/source.git`, everySeconds: 1 };
  await site.mirrors.set(mirror, 'user:pass\n');
  {
    await using _running = site.run();
    await site.ran();
    assert.equal(references(site.copy), references(site.source));
    assert.equal(gitOutput(site.copy, ['symbolic-ref', 'HEAD']), 'refs/heads/trunk');

    gitOutput(site.source, ['branch', '-D', 'gone']);
    addCommit(site.source, 7);
    gitOutput(site.source, ['tag', 'v1', 'main~1']);
    await site.ran(3);
    assert.equal(references(site.copy), references(site.source));
  }
  assert.deepEqual(site.failures, []);
  const calls = site.web.calls.length;
  const secret = Buffer.from('user:pass').toString('base64');
  const shown = JSON.stringify([
    site.gitaly.log,
    await site.mirrors.list(),
    await site.mirrors.lastRun(NAME),
  ]);
  assert.doesNotMatch(shown, new RegExp(`pass|${secret}`));
  for (const name of readdirSync(site.mirrors.path))
    assert.equal(statSync(join(site.mirrors.path, name)).mode & 0o777, 0o600, name);
  assert.equal(site.web.calls.length, calls, 'it has ended');
});

test('a mirror that fails says why, is tried later, and goes on after a restart', async () => {
  await using site = await Site.open();
  const mirror = { repository: NAME, url: `${site.web.url}/r/none.git`, everySeconds: 2 };
  await site.mirrors.set(mirror, '');
  {
    await using _running = site.run();
    await site.ran();
  }
  const failed = await site.mirrors.lastRun(NAME);
  assert.equal(failed?.failures, 1);
  assert.match(failed?.problem ?? '', /not found|none\.git/);
  assert.match(site.failures.join(), /^mirror copy\.git: /);
  assert.ok(dueMs(mirror, failed) >= Date.parse(failed?.at ?? '') + 4000, 'the pause is doubled');

  initRepository(join(site.directory, 'none.git'), { commits: 1 });
  await using _running = site.run();
  await site.ran(2);
  assert.equal((await site.mirrors.lastRun(NAME))?.problem, undefined);
  assert.equal(references(site.copy), references(join(site.directory, 'none.git')));
});

// Born failing: the fetch went on, for up to an hour, and replaced what was pushed since.
test('a run of a mirror ends when that is stopped, or gets another source', async () => {
  await using site = await Site.open();
  const open = new Set<unknown>();
  const silent = createServer(({ socket }) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  }).listen(0, '127.0.0.1');
  site.resources.defer(() => {
    silent.closeAllConnections();
    silent.close();
  });
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo; // it listens on TCP
  const mirror = { repository: NAME, url: `http://127.0.0.1:${port}/x.git`, everySeconds: 3600 };
  await using _running = site.run();
  await site.mirrors.set(mirror, '');
  await until(() => open.size > 0, 'the fetch has begun');

  await site.mirrors.remove(NAME);
  await until(() => open.size === 0, 'the fetch has ended');
  await site.mirrors.set(mirror, '');
  await until(() => open.size > 0, 'another fetch has begun');
  await site.mirrors.set({ ...mirror, url: `${site.web.url}/r/source.git` }, '');

  await site.ran();
  assert.equal((await site.mirrors.lastRun(NAME))?.problem, undefined);
  assert.equal(references(site.copy), references(site.source));
});

// Symptom: on a full disk, a mirror was fetched every second.
test('a run that cannot be noted is not repeated at once', async (context) => {
  await using site = await Site.open();
  context.mock.method(site.mirrors, 'report', async () => {
    throw new Error('no space left on device');
  });
  await site.mirrors.set({ repository: NAME, url: `${site.web.url}/r/source.git`, everySeconds: 3600 }, '');
  await using _running = site.run();
  await until(() => site.failures.length > 0, 'the first run');
  // A report that fails has changed the directory.
  writeFileSync(join(site.mirrors.path, 'other'), '');

  await never(() => site.failures.length > 1, 'the second run', 3000);

  assert.deepEqual(site.failures, [`mirror ${NAME}: no space left on device`]);
  assert.equal(references(site.copy), references(site.source));
});

test('mirrors that cannot be read are reported once', async () => {
  await using site = await Site.open();
  mkdirSync(join(site.mirrors.path, `${'a'.repeat(32)}.json`), { recursive: true });
  await using _running = site.run();
  await until(() => site.failures.length > 0, 'the first look');

  await never(() => site.failures.length > 1, 'the second report', 2500);
});

test('pauses grow with failures up to a day, and never below the time between runs', () => {
  const at = new Date(0).toISOString();
  const pause = (everySeconds: number, failures: number): number =>
    dueMs(
      { repository: NAME, url: '', everySeconds },
      { at, failures, problem: 'x', succeededAt: undefined },
    ) / 1000;
  for (const [every, failures, least] of [
    [900, 0, 900],
    [900, 1, 1800],
    [900, 3, 7200],
    [3600, 20, 86_400],
    [604_800, 5, 604_800],
  ] as const) {
    assert.ok(pause(every, failures) >= least, `${every} ${failures}`);
    assert.ok(pause(every, failures) <= least * 1.1, `${every} ${failures}`);
  }
});

/** Runs `gitaly-ts repo`. */
async function repo(...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const on: RepoProcess = { stdin, stdout, stderr };
  const program = new Command('gitaly-ts').exitOverride();
  addRepoCommands(program, on);
  await program.parseAsync(['repo', ...args], { from: 'user' });
  return { code: on.exitCode, out: await text(stdout.end()), err: await text(stderr.end()) };
}

test('repo mirror sets, lists and ends a mirror, and pushes to it are refused with a sentence', async () => {
  const directory = makeScratchDirectory('mirror-command');
  try {
    const to = ['--to', directory];
    const url = 'https://git.example.com/linux.git';
    const file = join(directory, 'login');
    writeFileSync(file, 'me:secret\n');
    const made = await repo('mirror', 'linux', url, '--every', '15m', '--credentials', file, ...to);
    assert.deepEqual([made.code, made.err], [0, '']);
    assert.match(
      (await repo('mirror', 'list', ...to)).out,
      /^linux\.git {2}https:\/\/git\.example\.com\/linux\.git {2}every 900 s {2}has not run yet\n$/,
    );
    assert.match((await repo('info', 'linux', ...to)).out, /^mirror {12}https:.*has not run yet$/m);
    const rules = JSON.parse((await repo('rules', 'linux', ...to)).out);
    assert.deepEqual(rules, { readOnly: [{ reason: `it is a mirror of ${url}` }] });
    await repo('mirror', 'linux', url, '--every', '1h', ...to);
    assert.deepEqual(readdirSync(join(directory, 'mirrors')).length, 1, 'the credentials are gone');
    assert.equal(JSON.parse((await repo('rules', 'linux', ...to)).out).readOnly.length, 1);

    assert.equal((await repo('mirror', 'linux', '--stop', ...to)).out, 'linux.git is no mirror any more\n');
    assert.equal((await repo('rules', 'linux', ...to)).out, 'linux.git: no rules\n');
    for (const [wrong, reason] of [
      ['file:///etc', /write the URL as/],
      ['/etc', /write the URL as/],
      ['ext::sh -c id', /write the URL as/],
      ['--upload-pack=id', /write the URL as|unknown option/],
      ['https://me:secret@git.example.com/x', /leave user and password out/],
    ] as const) {
      const refused = await repo('mirror', 'x', ...to, '--', wrong);
      assert.notEqual(refused.code, 0, wrong);
      assert.match(refused.err, reason);
      assert.doesNotMatch(refused.err, /secret/);
    }
    writeFileSync(file, 'no colon here\n');
    const refused = await repo('mirror', 'linux', url, '--credentials', file, ...to);
    assert.equal(refused.code, 1);
    assert.doesNotMatch(refused.err, /no colon/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
