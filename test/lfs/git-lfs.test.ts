import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { startS3Server } from '#testkit/servers/start-s3-server';
import { until } from '#testkit/until';
import { type Login, PeopleSite } from '../people/people-site.ts';

const skip = spawnSync('git', ['lfs', 'version']).status === 0 ? false : 'there is no git-lfs';
const BIG_BYTES = 20 << 20;
const MANY = 150;
/** git-lfs leaves the sockets of shared connections by SSH behind. */
const WITHOUT_SOCKETS = ['config', 'lfs.ssh.autoMultiplex', 'false'];

interface Opened {
  readonly site: PeopleSite;
  readonly ann: Required<Login>;
  readonly bob: Required<Login>;
  /** Runs git in a directory below that of the site. @throws if it fails. */
  git(login: Login, directory: string, ...args: string[]): Promise<string>;
}

/** Starts `gitaly-ts up` with two people, and makes a clone `work` that tracks `*.bin`. */
async function open(context: TestContext, ...options: string[]): Promise<Opened> {
  const site = new PeopleSite();
  context.after(() => site[Symbol.asyncDispose]());
  const ann = await site.person('ann', '--access', 'write', '--path', 'team');
  const bob = await site.person('bob', '--access', 'read', '--path', 'team');
  await site.start(...options);
  const git: Opened['git'] = async (login, directory, ...args) => {
    const { code, stderr, stdout } = await site.git(login, '-C', join(site.directory, directory), ...args);
    assert.equal(code, 0, `git ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  await site.commit();
  await git({}, 'work', 'lfs', 'install', '--local');
  await git({}, 'work', ...WITHOUT_SOCKETS);
  await git({}, 'work', 'lfs', 'track', '*.bin');
  return { site, ann, bob, git };
}

/** Clones a repository with its files. */
async function clone({ git, site }: Opened, login: Login, repository: string, name: string): Promise<string> {
  mkdirSync(join(site.directory, name));
  await git({}, name, 'init', '-q', '-b', 'main');
  await git({}, name, 'lfs', 'install', '--local');
  await git({}, name, ...WITHOUT_SOCKETS);
  await git(login, name, 'remote', 'add', 'origin', site.url(login, repository));
  await git(login, name, 'pull', '-q', 'origin', 'main');
  return join(site.directory, name);
}

for (const transport of ['http', 'ssh'] as const) {
  test(`git-lfs pushes and pulls files over ${transport}`, { skip }, async (context) => {
    const opened = await open(context);
    const { ann, bob, git, site } = opened;
    const by = (login: Required<Login>): Login => ({ [transport]: login[transport] });
    const big = randomBytes(BIG_BYTES);
    writeFileSync(join(site.work, 'big.bin'), big);
    mkdirSync(join(site.work, 'many'));
    for (let index = 0; index < MANY; index++)
      writeFileSync(join(site.work, `many/${index}.bin`), `file ${index}\n`);
    await git({}, 'work', 'add', '-A');
    await git({}, 'work', 'commit', '-q', '-m', 'files');

    await git(by(ann), 'work', 'push', '-q', site.url(by(ann), 'team/a.git'), 'main');
    const cloned = await clone(opened, by(bob), 'team/a.git', 'cloned');

    assert.ok(readFileSync(join(cloned, 'big.bin')).equals(big));
    for (let index = 0; index < MANY; index++)
      assert.equal(readFileSync(join(cloned, `many/${index}.bin`), 'utf8'), `file ${index}\n`);
    await git({}, 'cloned', 'lfs', 'fsck');

    writeFileSync(join(cloned, 'bob.bin'), randomBytes(1000));
    await git({}, 'cloned', 'add', '-A');
    await git({}, 'cloned', 'commit', '-q', '-m', 'not allowed');
    const refused = await site.git(by(bob), '-C', cloned, 'lfs', 'push', 'origin', 'main');
    assert.notEqual(refused.code, 0);

    await git(by(ann), 'work', 'remote', 'add', 'origin', site.url(by(ann), 'team/a.git'));
    await git(by(ann), 'work', 'lfs', 'lock', 'big.bin');
    assert.match(await git(by(bob), 'cloned', 'lfs', 'locks'), /^big\.bin\s+ann\s/);
    await git(by(ann), 'work', 'lfs', 'unlock', 'big.bin');
    assert.equal(await git(by(bob), 'cloned', 'lfs', 'locks'), '');
  });
}

test('git-lfs stores files in a bucket directly, and pushes need them there', { skip }, async (context) => {
  const server = await startS3Server();
  if (server === undefined) return context.skip('Go is not installed');
  context.after(() => server[Symbol.asyncDispose]());
  const opened = await open(context, '--lfs', await server.createBucket());
  const { ann, bob, git, site } = opened;
  const contents = Array.from({ length: 20 }, () => randomBytes(100_000));
  for (const [index, bytes] of contents.entries()) writeFileSync(join(site.work, `${index}.bin`), bytes);
  await git({}, 'work', 'add', '-A');
  await git({}, 'work', 'commit', '-q', '-m', 'files');

  await git({ ssh: ann.ssh }, 'work', 'push', '-q', site.url({ ssh: ann.ssh }, 'team/a.git'), 'main');
  const cloned = await clone(opened, { http: bob.http }, 'team/a.git', 'cloned');

  for (const [index, bytes] of contents.entries())
    assert.ok(readFileSync(join(cloned, `${index}.bin`)).equals(bytes), `${index}.bin`);
  writeFileSync(join(site.work, 'new.bin'), randomBytes(1000));
  await git({}, 'work', 'add', '-A');
  await git({}, 'work', 'commit', '-q', '-m', 'more');
  const url = site.url({ http: ann.http }, 'team/a.git');
  assert.equal((await site.git({}, '-C', site.work, 'push', '--no-verify', url, 'main')).code, 1);
  const { stderr } = await site.git(
    { http: ann.http },
    ...['-C', site.work, '-c', 'lfs.transfer.maxretries=1', 'push', url, 'main'],
  );
  assert.match(stderr, /main -> main/);
});

test('a push without its files is refused, and accepted after "git lfs push"', { skip }, async (context) => {
  const { ann, git, site } = await open(context);
  const by = { http: ann.http };
  const url = site.url(by, 'team/a.git');
  writeFileSync(join(site.work, 'a.bin'), randomBytes(1000));
  await git({}, 'work', 'add', '-A');
  await git({}, 'work', 'commit', '-q', '-m', 'files');

  const refused = await site.git(by, '-C', site.work, 'push', '--no-verify', url, 'main');
  assert.deepEqual(
    [refused.code, /"a\.bin" \([0-9a-f]{64}\)/.test(refused.stderr)],
    [1, true],
    refused.stderr,
  );
  await git(by, 'work', 'lfs', 'push', '--all', url);
  await git(by, 'work', 'push', '-q', '--no-verify', url, 'main');

  await site.stop();
  await site.start('--lfs-accept-missing');
  writeFileSync(join(site.work, 'b.bin'), randomBytes(1000));
  await git({}, 'work', 'add', '-A');
  await git({}, 'work', 'commit', '-q', '-m', 'more');
  await git(by, 'work', 'push', '-q', '--no-verify', site.url(by, 'team/a.git'), 'main');
});

test('a server that is killed has each file that was stored, and takes the others later', {
  skip,
}, async (context) => {
  const { ann, git, site } = await open(context, '--workers', '2');
  const by = { ssh: ann.ssh };
  const files = Array.from({ length: 12 }, () => randomBytes(2 << 20));
  for (const [index, bytes] of files.entries()) writeFileSync(join(site.work, `${index}.bin`), bytes);
  await git({}, 'work', 'add', '-A');
  await git({}, 'work', 'commit', '-q', '-m', 'files');
  const push = site.git(by, '-C', site.work, 'push', '-q', site.url(by, 'team/a.git'), 'main');
  await until(() => hasFiles(join(site.data, 'lfs'))); // somewhere in the uploads
  await site.stop('SIGKILL');
  await push;

  await site.start('--workers', '2');
  await git(by, 'work', 'push', '-q', site.url(by, 'team/a.git'), 'main');
  mkdirSync(join(site.directory, 'again'));
  await git({}, 'again', 'init', '-q', '-b', 'main');
  await git({}, 'again', 'lfs', 'install', '--local');
  await git({}, 'again', ...WITHOUT_SOCKETS);
  await git(by, 'again', 'remote', 'add', 'origin', site.url(by, 'team/a.git'));
  await git(by, 'again', 'pull', '-q', 'origin', 'main');

  for (const [index, bytes] of files.entries())
    assert.ok(readFileSync(join(site.directory, `again/${index}.bin`)).equals(bytes), `${index}.bin`);
});

/** Reports whether the store has a file. */
function hasFiles(store: string): boolean {
  if (!existsSync(store)) return false;
  return readdirSync(store, { recursive: true, withFileTypes: true }).some((entry) => entry.isFile());
}

test('a token by SSH is for one repository, with the rights of its key', {
  skip: NO_OPENSSH,
}, async (context) => {
  const site = new PeopleSite();
  context.after(() => site[Symbol.asyncDispose]());
  const ann = await site.person('ann', '--access', 'write', '--path', 'team');
  const bob = await site.person('bob', '--access', 'read', '--path', 'team');
  const deploy = await site.key('deploy');
  await site.did('key', 'add', '--deploy', 'team/new', `${deploy}.pub`, '--write');
  await site.start();
  await site.commit();
  for (const name of ['a', 'b']) {
    const { code } = await site.git(
      ann,
      '-C',
      site.work,
      'push',
      '-q',
      site.url(ann, `team/${name}.git`),
      'main',
    );
    assert.equal(code, 0);
  }
  const grant = async (key: string, path: string, operation: string) => {
    const { code, stdout } = await site.ssh(key, 'git-lfs-authenticate', path, operation);
    return code === 0 ? JSON.parse(stdout) : undefined;
  };
  const batch = async (href: string, header: Record<string, string>, operation: string): Promise<number> => {
    const objects = [{ oid: 'ab'.repeat(32), size: 1 }];
    const body = JSON.stringify({ operation, objects });
    const headers = { ...header, 'content-type': 'application/vnd.git-lfs+json' };
    return (await fetch(`${href}/objects/batch`, { method: 'POST', headers, body })).status;
  };

  const byAnn = await grant(ann.ssh, 'team/a.git', 'upload');
  assert.equal(await batch(byAnn.href, byAnn.header, 'upload'), 200);
  assert.equal(await batch(byAnn.href.replace('team/a', 'team/b'), byAnn.header, 'download'), 404);
  assert.equal(await grant(bob.ssh, 'team/a.git', 'upload'), undefined);
  const byBob = await grant(bob.ssh, 'team/a', 'download');
  assert.deepEqual(
    [await batch(byBob.href, byBob.header, 'download'), await batch(byBob.href, byBob.header, 'upload')],
    [200, 404],
  );
  assert.equal(await grant(bob.ssh, 'other/a', 'download'), undefined);
  const byDeploy = await grant(deploy, 'team/new', 'upload');
  assert.equal(await batch(byDeploy.href, byDeploy.header, 'upload'), 404, 'it creates no repository');
  const creating = await grant(ann.ssh, 'team/fresh', 'upload');
  assert.equal(await batch(creating.href, creating.header, 'upload'), 200, 'a push may create it');
});
