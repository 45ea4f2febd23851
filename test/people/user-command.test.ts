import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { ended, logIn } from '#testkit/clients/ssh-gateway-fixture';
import { programCommand } from '#testkit/programs/program-command';
import { run } from '#testkit/run-program';
import { until } from '#testkit/until';
import { PeopleSite } from './people-site.ts';

const UP = [...programCommand('gitaly-ts'), 'up'];

/** Some starts of git on a machine that has other work. */
const BUSY_MS = 12_000;

test('people that are added at the same time are all there, and the file is for its owner', async () => {
  await using site = new PeopleSite();
  const names = Array.from({ length: 20 }, (_, number) => `p${number}`);

  const tokens = await Promise.all(names.map((name) => site.did('add', name, '--token')));

  const { people } = JSON.parse(await site.did('list', '--json'));
  assert.deepEqual(people.map(({ name }: { name: string }) => name).sort(), names.sort());
  assert.equal(new Set(tokens).size, names.length);
  assert.equal(statSync(site.people).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(site.data), ['people.toml'], 'neither locks nor drafts are left');
  for (const token of tokens) assert.ok(!site.text().includes(token));
});

test('lists show names and fingerprints, and no secrets', { skip: NO_OPENSSH }, async () => {
  await using site = new PeopleSite();
  const key = await site.key('laptop');
  const { stdout: facts } = await run('ssh-keygen', ['-l', '-f', `${key}.pub`]);
  const [, fingerprint = ''] = facts.split(' ');
  await site.user(['add', 'ann', '--access', 'write', '--path', 'team', '--password-stdin'], 'secret\n');
  await site.did('key', 'add', 'ann', `${key}.pub`, '--read-only');
  const token = await site.did('token', 'add', 'ann', 'ci');

  const lists = [['list'], ['list', '--json'], ['key', 'list']];
  const shown = (await Promise.all(lists.map((args) => site.did(...args)))).join('\n');

  assert.match(shown, /^ann {2}write team {2}password, token ci, key laptop SHA256:/);
  assert.match(shown, /^ann {2}laptop {2}SHA256:\S+ {2}read$/m);
  assert.ok(shown.includes(fingerprint));
  assert.doesNotMatch(shown, /scrypt|sha256:/);
  assert.ok(!shown.includes(token));

  await site.did('key', 'remove', 'ann', fingerprint);
  await site.did('token', 'remove', 'ann', 'ci');
  await site.did('access', 'ann', '--access', 'admin');
  await site.did('password', 'ann', '--remove');
  assert.equal(await site.did('list'), 'ann  admin  no secret');
});

test('a command changes or removes whom it names, and nobody else', async () => {
  await using site = new PeopleSite();
  for (const name of ['ann', 'bob', 'eve']) await site.did('add', name, '--token');
  const people = async (): Promise<{ readonly name: string }[]> =>
    JSON.parse(await site.did('list', '--json')).people;
  const [ann, bob, eve] = await people();

  assert.equal((await site.user(['password', 'bob'], 'secret\n')).code, 0);
  await site.did('access', 'eve', '--access', 'admin');

  const [annNow, bobNow, eveNow] = await people();
  assert.deepEqual(annNow, ann);
  assert.notDeepEqual(bobNow, bob);
  assert.notDeepEqual(eveNow, eve);
  await site.did('remove', 'bob');
  assert.deepEqual(await people(), [ann, eveNow]);
  await site.did('remove', 'ann', 'eve');
  assert.deepEqual(await people(), []);
});

const WRONG: readonly (readonly [args: readonly string[], problem: RegExp])[] = [
  [['add', 'ann', '--token'], /there is another ann/],
  [['add', 'bob'], /give --password-stdin, --token or --key FILE/],
  [['add', 'bob', '--password-stdin'], /standard input has no password/],
  [['add', 'bob', '--token', '--access', 'admin', '--path', 'a'], /leave out --path/],
  [['add', 'bob', '--token', '--path', 'a/*'], /a path has no patterns/],
  [['add', 'b:b', '--token'], /a name has at most 128 characters/],
  [['remove', 'bob'], /there is no bob: "gitaly-ts user list" prints all/],
  [['remove', 'ann', 'bob'], /there is no bob/],
  [['password', 'bob'], /there is no bob/],
  [['token', 'remove', 'ann', 'x'], /ann has no token x/],
  [['key', 'remove', 'ann', 'x'], /ann has no key x/],
  [['key', 'remove', '--deploy', 'team/app', 'x'], /team\/app has no key x/],
  [['key', 'add', 'ann', 'weak.pub'], /weak\.pub: RSA keys need at least 2048 bits/],
  [['key', 'add', 'ann', 'weak'], /weak is a private key: give the one that ends in \.pub/],
  [['key', 'add', 'ann', 'good.pub', '--write'], /--write is for --deploy/],
  [['key', 'add', 'team/app', 'good.pub', '--deploy', '--read-only'], /are for the keys of people/],
  [['key', 'add', 'team/app', 'good.pub', '--deploy', '--name', 'ann'], /there is another ann/],
];

test('wrong commands exit with 2, name the problem, and change nothing', { skip: NO_OPENSSH }, async () => {
  await using site = new PeopleSite();
  await site.did('add', 'ann', '--token');
  await site.key('weak', ['-t', 'rsa', '-b', '1024']);
  await site.key('good');
  const before = site.text();

  for (const [args, problem] of WRONG) {
    const inPlace = args.map((word) => (/^(?:weak|good)/.test(word) ? join(site.directory, word) : word));
    const { code, stderr } = await site.user(inPlace);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, problem);
    assert.equal(site.text(), before, args.join(' '));
  }
});

test('comments above the first table are kept; a command refuses to lose others', async () => {
  await using site = new PeopleSite();
  await site.did('add', 'ann', '--token');
  writeFileSync(site.people, `# Ask eve before you change this.\n\n${site.text().replace(/^#.*\n/gm, '')}`);

  await site.did('add', 'bob', '--token');
  assert.match(site.text(), /^# Ask eve before you change this\.\n\n\[\[person\]\]/);

  writeFileSync(site.people, '# kept\n[[person]]\nname = "ann"\nread = ["#1"] # only this\n');
  const { code, stderr } = await site.user(['remove', 'ann']);
  assert.equal(code, 2);
  assert.match(stderr, /line 4: this comment would be lost\. Move it above the first table/);
});

test('a change has an effect within a second, and an invalid file changes nothing', async () => {
  await using site = new PeopleSite();
  const ann = `ann:${await site.did('add', 'ann', '--token')}`;
  await site.start();
  assert.equal(site.report.people, site.people);
  const reads = async (http: string): Promise<boolean> =>
    (await site.git({}, 'ls-remote', site.url({ http }, 'hello'))).code === 0;
  assert.deepEqual([await reads(ann), await reads('')], [true, false]);

  const bob = `bob:${await site.did('add', 'bob', '--token')}`;
  const addedMs = performance.now();
  await until(() => reads(bob));
  assert.ok(performance.now() - addedMs < BUSY_MS, 'a second, and the time of some git');

  writeFileSync(site.people, `${site.text()}\n[[person]]\nname = "ann"\n`);
  await until(async () => (await reads(ann)) && site.notes.includes('people.toml'));
  assert.match(
    site.notes,
    /the previous file stays in use: \S+people\.toml: line \d+: "name": there is another ann/,
  );
  assert.deepEqual([await reads(ann), await reads(bob)], [true, true]);
});

test('rights are those of now, also on an SSH connection that is open', { skip: NO_OPENSSH }, async () => {
  await using site = new PeopleSite();
  const ann = await site.person('ann', '--access', 'write');
  await site.start();
  const port = Number(new URL(site.report.ssh).port);
  const privateKey = readFileSync(ann.ssh);
  await using client = await logIn({ host: '127.0.0.1', port }, { privateKey });
  const command = async (text: string): Promise<[code: unknown, stderr: string]> => {
    const { code, stderr } = await ended(await client.exec(text), '0000');
    return [code, stderr];
  };
  const [read, push] = ["git-upload-pack 'hello'", "git-receive-pack 'hello'"];
  assert.deepEqual([(await command(read))[0], (await command(push))[0]], [0, 0]);

  await site.did('access', 'ann', '--access', 'read');
  await until(async () => (await command(push))[0] === 1);
  assert.match((await command(push))[1], /You may not write this repository\./);
  assert.equal((await command(read))[0], 0);

  const laptop = await site.key('laptop');
  await site.did('key', 'add', 'ann', `${laptop}.pub`);
  const url = site.url({ ssh: laptop }, 'hello');
  await until(async () => (await site.git({ ssh: laptop }, 'ls-remote', url)).code === 0);

  await site.did('remove', 'ann');
  await until(async () => (await command(read))[0] === 1);
  assert.match((await command(read))[1], /There is no such repository/);
  assert.deepEqual(await command('repo list'), [0, '']);
  assert.notEqual((await site.git({ ssh: laptop }, 'ls-remote', url)).code, 0);
});

test('a server does not start with an invalid file, or with two ways to log in', async () => {
  await using site = new PeopleSite();
  await site.did('add', 'ann', '--token');
  const start = async (...args: string[]) =>
    await run(process.execPath, [...UP, site.data, '--http', '127.0.0.1:0', ...args]);

  const both = await start('--people', site.people, '--auth-file', 'users');
  assert.equal(both.code, 2);
  assert.match(both.stderr, /use one of --people and --auth-file/);

  const missing = await start('--people', join(site.directory, 'nothing'));
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /people in \S+nothing: .*Create it with: gitaly-ts user add NAME --people/);

  writeFileSync(site.people, '[[person]]\nnam = "ann"\n');
  const wrong = await start();
  assert.equal(wrong.code, 1);
  assert.match(
    wrong.stderr,
    /people in \S+people\.toml: line 2: "nam": there is no such key; did you mean "name"\?/,
  );
});

test('with another way to log in, the file of the directory is not used, and this is said', async () => {
  await using site = new PeopleSite();
  const ann = `ann:${await site.did('add', 'ann', '--token')}`;
  const users = join(site.directory, 'users');
  writeFileSync(users, '');
  await site.start('--auth-file', users);

  assert.equal((await site.git({}, 'ls-remote', site.url({ http: ann }, 'hello'))).code, 128);
  assert.match(site.notes, /people\.toml is not used, because of --auth-file/);
  assert.equal(site.report.people, undefined);
  assert.equal(readFileSync(users, 'utf8'), '');
});

test('a password works over HTTP until it is replaced, also in several processes', async () => {
  await using site = new PeopleSite();
  await site.user(['add', 'ann', '--password-stdin'], 'former\n');
  await site.user(['password', 'ann'], 'secret\n');
  await site.start('--workers', '2');
  const code = async (http: string): Promise<number | null> =>
    (await site.git({}, 'ls-remote', site.url({ http }, 'hello'))).code;

  assert.deepEqual(await Promise.all(['ann:secret', 'ann:former', 'bob:secret'].map(code)), [0, 128, 128]);
});
