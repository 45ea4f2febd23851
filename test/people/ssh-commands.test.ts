import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { PeopleSite } from './people-site.ts';

const GREETING: Readonly<Record<string, RegExp>> = {
  reader: /^You are logged in as reader\..*\nLogged in with the key reader\.\nYou may: read everything\.\n/,
  writer: /You may: write team\.\n/,
  admin: /You may: admin everything\.\n/,
  deploy: /^You are logged in as deploy\..*\n.*\nYou may: read team\/app\.git\.\n/,
};

/** Exit code and output of a command, by who runs it. */
interface Case {
  readonly command: string;
  readonly by: Readonly<Record<string, readonly [code: number, output: RegExp]>>;
}

const MISSING = [1, /^there is no repository other\/lib\n$/] as const;
const NEEDS_ADMIN = [1, /^you need the right admin to do this with team\/app\n$/] as const;
const NEEDS_WRITE = [1, /^you need the right write to do this with (?:team|other)\/new-\w+\n$/] as const;

const CASES: readonly Case[] = [
  {
    command: 'repo list',
    by: {
      reader: [0, /^hello\.git\nother\/lib\.git\nteam\/app\.git\n$/],
      writer: [0, /^team\/app\.git\n$/],
      admin: [0, /^hello\.git\nother\/lib\.git\nteam\/app\.git\n$/],
      deploy: [0, /^team\/app\.git\n$/],
    },
  },
  {
    command: 'repo list --json',
    by: { writer: [0, /^\[\n {2}\{\n {4}"name": "team\/app\.git",\n/] },
  },
  {
    command: 'repo default-branch team/app',
    by: { reader: [0, /^main\n$/], writer: [0, /^main\n$/], deploy: [0, /^main\n$/] },
  },
  {
    command: 'repo default-branch other/lib',
    by: { writer: MISSING, deploy: MISSING, admin: [0, /^main\n$/] },
  },
  {
    command: 'repo default-branch team/app side',
    by: { reader: NEEDS_ADMIN, writer: NEEDS_ADMIN, deploy: NEEDS_ADMIN, admin: [0, /^side\n$/] },
  },
  {
    command: "repo description team/app 'The web site'",
    by: { reader: NEEDS_ADMIN, writer: NEEDS_ADMIN, deploy: NEEDS_ADMIN, admin: [0, /^The web site\n$/] },
  },
  {
    command: 'repo description team/app',
    by: { reader: [0, /^The web site\n$/], writer: [0, /^The web site\n$/], deploy: [0, /^The web site\n$/] },
  },
  { command: 'repo description team/app x y', by: { admin: [2, /^usage: repo description NAME \[TEXT\]/] } },
  { command: "repo description other/lib 'Not mine'", by: { writer: MISSING, deploy: MISSING } },
  {
    command: 'repo description other/lib',
    by: { writer: MISSING, deploy: MISSING, admin: [0, /^$/] },
  },
  { command: 'repo rename team/app team/b', by: { reader: NEEDS_ADMIN, writer: NEEDS_ADMIN } },
  { command: 'repo rename other/lib team/b', by: { writer: MISSING } },
  { command: 'repo remove team/app --yes', by: { writer: NEEDS_ADMIN, deploy: NEEDS_ADMIN } },
  { command: 'repo remove other/lib --yes', by: { writer: MISSING } },
  { command: 'repo remove team/app', by: { admin: [2, /^nothing was removed: add --yes/] } },
  {
    command: 'repo create team/new-WHO',
    by: {
      reader: NEEDS_WRITE,
      deploy: NEEDS_WRITE,
      writer: [0, /^created team\/new-writer\.git\n$/],
      admin: [0, /^created team\/new-admin\.git\n$/],
    },
  },
  { command: 'repo create other/new-WHO', by: { writer: NEEDS_WRITE } },
  {
    command: "repo create 'team/x y' --object-format sha256 --json",
    by: { writer: [0, /"created": "team\/x y\.git"/] },
  },
  { command: 'help', by: { deploy: [0, /^Commands, each with --json:\n {2}repo list\n/] } },
  { command: 'repo', by: { admin: [2, /^There is no such command\. Commands/] } },
  { command: 'repo gc --all', by: { admin: [2, /^There is no such command\./] } },
  { command: 'repo __proto__', by: { admin: [2, /^There is no such command\./] } },
  { command: 'repo create', by: { admin: [2, /^usage: repo create NAME/] } },
  { command: 'repo create a --to /tmp', by: { admin: [2, /^usage: repo create NAME/] } },
  { command: 'repo create ../x', by: { admin: [2, /^The path has a name that starts with a dot\.\n$/] } },
  { command: 'repo create a; id', by: { admin: [2, /^The command is too long, or a word needs quotes/] } },
  { command: "repo create 'a", by: { admin: [2, /^The command is too long, or a word needs quotes/] } },
  { command: 'repo create $(id)', by: { admin: [2, /a word needs quotes/] } },
  { command: `repo create ${'a'.repeat(9000)}`, by: { admin: [2, /^The command is too long/] } },
  { command: 'id', by: { admin: [1, /Only git-upload-pack, .* help, repo, git-lfs-authenticate are/] } },
  { command: 'repository list', by: { admin: [1, /Only git-upload-pack/] } },
];

describe('commands over SSH', { skip: NO_OPENSSH }, () => {
  const site = new PeopleSite();
  const keys: Record<string, string> = {};

  before(async () => {
    for (const [name, ...access] of [
      ['admin', 'admin'],
      ['reader', 'read'],
      ['writer', 'write', '--path', 'team'],
    ])
      keys[name ?? ''] = (await site.person(name ?? '', '--access', ...access)).ssh;
    keys.deploy = await site.key('deploy');
    await site.did('key', 'add', '--deploy', 'team/app', `${keys.deploy}.pub`);
    await site.start();
    await site.commit();
    for (const name of ['team/app', 'other/lib']) {
      const login = { ssh: keys.admin ?? '' };
      const { code, stderr } = await site.git(
        login,
        '-C',
        site.work,
        'push',
        site.url(login, name),
        'main',
        'main:side',
      );
      assert.equal(code, 0, stderr);
    }
  });
  after(() => site[Symbol.asyncDispose]());

  for (const [who, expected] of Object.entries(GREETING))
    test(`a login of ${who} without a command says who it is and what it may`, async () => {
      const { code, stderr, stdout } = await site.ssh(keys[who] ?? '', '-T');
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, expected);
      assert.match(stdout, / {2}repo create NAME \[--branch BRANCH\]/);
    });

  for (const { by, command } of CASES)
    for (const [who, [code, output]] of Object.entries(by))
      test(`${who}: ${command.slice(0, 60)}`, async () => {
        const result = await site.ssh(keys[who] ?? '', command.replace('WHO', who));
        assert.equal(result.code, code, result.stderr);
        assert.match(code === 0 ? result.stdout : result.stderr, output);
        assert.equal(code === 0 ? result.stderr : result.stdout, '');
      });

  test('what an administrator does has an effect', async () => {
    const admin = keys.admin ?? '';
    const ok = async (...words: string[]): Promise<string> => {
      const { code, stderr, stdout } = await site.ssh(admin, ...words);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    assert.equal(
      await ok('repo', 'rename', 'other/lib', 'other/moved'),
      'renamed other/lib.git to other/moved.git\n',
    );
    const login = { ssh: admin };
    const { stdout } = await site.git(login, 'ls-remote', '--symref', site.url(login, 'team/app'), 'HEAD');
    assert.match(stdout, /^ref: refs\/heads\/side\tHEAD$/m);
    assert.equal(await ok('repo', 'remove', 'other/moved', '--yes'), 'removed other/moved.git\n');
    assert.equal((await site.git(login, 'ls-remote', site.url(login, 'other/moved'))).code, 128);
  });
});
