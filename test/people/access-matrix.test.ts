import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { until } from '#testkit/until';
import { type Login, PeopleSite } from './people-site.ts';

/** Rights of somebody: `team/app` and `other/lib` exist; a push to `new` creates a repository. */
interface Rights {
  readonly read: readonly string[];
  readonly push: readonly string[];
  readonly create: readonly string[];
  /** Sees the calls of all users in the console; only by HTTP. */
  readonly isAdministrator?: boolean;
}

const EXISTING = ['team/app', 'other/lib'];
const DIRECTORIES = ['team', 'other'];
const KEY_OF_MISSING = 'deploy key of a missing repository';
const NOTHING: Rights = { read: [], push: [], create: [] };

const RIGHTS: Readonly<Record<string, Rights>> = {
  reader: { read: EXISTING, push: [], create: [] },
  writer: { read: ['team/app'], push: ['team/app'], create: ['team'] },
  admin: { read: EXISTING, push: EXISTING, create: DIRECTORIES, isAdministrator: true },
  removed: NOTHING,
  nobody: NOTHING,
  'deploy key': { read: ['team/app'], push: [], create: [] },
  'deploy key for pushes': { read: ['team/app'], push: ['team/app'], create: [] },
  [KEY_OF_MISSING]: NOTHING,
  'key of the writer for reading': { read: ['team/app'], push: [], create: [] },
  'key of the admin for one repository': { read: ['other/lib'], push: ['other/lib'], create: [] },
};

/** Only people log in by HTTP. */
const isPerson = (who: string): boolean => !who.includes('key');

describe('what somebody may do', { skip: NO_OPENSSH }, () => {
  const site = new PeopleSite();
  const logins: Record<string, Login> = {};

  before(async () => {
    logins.admin = await site.person('admin', '--access', 'admin');
    logins.reader = await site.person('reader', '--access', 'read');
    logins.writer = await site.person('writer', '--access', 'write', '--path', 'team');
    logins.removed = await site.person('removed', '--access', 'admin');
    logins.nobody = { http: '', ssh: await site.key('nobody') };
    const add = async (name: string, ...args: string[]): Promise<void> => {
      const ssh = await site.key(name.replaceAll(' ', '-'));
      const [holder = '', ...options] = args;
      await site.did('key', 'add', holder, `${ssh}.pub`, ...options);
      logins[name] = { ssh };
    };
    await add('deploy key', 'team/app', '--deploy');
    await add('deploy key for pushes', 'team/app', '--deploy', '--write');
    await add(KEY_OF_MISSING, 'team/missing', '--deploy', '--write');
    await add('key of the writer for reading', 'writer', '--read-only');
    await add('key of the admin for one repository', 'admin', '--repository', 'other/lib');
    await site.start();
    await site.commit();
    for (const name of EXISTING) {
      const { http = '' } = logins.admin;
      const { code, stderr } = await site.git(
        {},
        '-C',
        site.work,
        'push',
        '-q',
        site.url({ http }, name),
        'main',
      );
      assert.equal(code, 0, stderr);
    }
    await site.did('remove', 'removed');
    await until(
      async () =>
        (await site.git({}, 'ls-remote', site.url({ http: logins.removed?.http ?? '' }, 'team/app'))).code !==
        0,
    );
  });
  after(() => site[Symbol.asyncDispose]());

  for (const [who, rights] of Object.entries(RIGHTS))
    for (const transport of isPerson(who) ? (['http', 'ssh'] as const) : (['ssh'] as const))
      test(`${who} over ${transport}`, async () => {
        const login = { [transport]: logins[who]?.[transport] };
        const may = async (...args: string[]): Promise<boolean> => {
          const { code, stderr } = await site.git(login, ...args);
          assert.doesNotMatch(
            stderr,
            /fatal: (?!Authentication|Could not read|could not read|unable to access|repository .* not found|.*The requested URL returned)/,
            stderr,
          );
          return code === 0;
        };
        const found = { read: [] as string[], push: [] as string[], create: [] as string[] };
        for (const name of EXISTING) {
          const url = site.url(login, name);
          const clone = `${site.directory}/${who}-${transport}-${name.replace('/', '-')}`;
          if (await may('clone', '-q', url, clone)) found.read.push(name);
          // Over SSH both are one command; over HTTP, a clone makes one more request.
          if (transport === 'http')
            assert.equal(await may('ls-remote', url), found.read.includes(name), 'fetch and clone differ');
          if (
            await may(
              '-C',
              site.work,
              'push',
              '-q',
              url,
              `HEAD:refs/heads/${who.replaceAll(' ', '-')}-${transport}`,
            )
          )
            found.push.push(name);
        }
        const own = `${who.replaceAll(' ', '-')}-${transport}`;
        const missing = DIRECTORIES.map((name) => [name, `${name}/${own}`] as const);
        const others = who === KEY_OF_MISSING ? [['missing', 'team/missing'] as const] : [];
        for (const [name, path] of [...missing, ...others])
          if (await may('-C', site.work, 'push', '-q', site.url(login, path), 'HEAD:main'))
            found.create.push(name);
        const { isAdministrator: _, ...expected } = rights;
        assert.deepEqual(found, expected);
      });

  for (const [who, { isAdministrator = false, read }] of Object.entries(RIGHTS).filter(([who]) =>
    isPerson(who),
  ))
    test(`${who} in the console`, async () => {
      const given = logins[who]?.http ?? '';
      const headers = given === '' ? {} : { authorization: `Basic ${Buffer.from(given).toString('base64')}` };
      const isOk = async (page: string): Promise<boolean> =>
        (await fetch(`${site.report.http}/-/console/${page}?format=json`, { headers })).ok;
      const readable: string[] = [];
      for (const name of EXISTING) if (await isOk(`repository/${name}.git/-/commits`)) readable.push(name);
      assert.deepEqual(readable, read);
      assert.equal(await isOk('slow'), isAdministrator);
    });
});
