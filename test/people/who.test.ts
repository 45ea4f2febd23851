import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { dial } from '#client/index';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { runGit } from '#testkit/repositories/run-git';
import { until } from '#testkit/until';
import { Event_Kind } from '#wire/gen/gitalyts/events/v1/events_pb';
import { type Login, PeopleSite } from './people-site.ts';

interface Change {
  readonly reference: string | null;
  readonly kind: string;
  readonly user: unknown;
}

for (const workers of ['1', '2'])
  describe(`who did it, with ${workers} processes`, { skip: NO_OPENSSH }, () => {
    const site = new PeopleSite();
    let ann: Required<Login> = { http: '', ssh: '' };
    let deploy: Login = {};

    const changes = async (): Promise<readonly Change[]> => {
      const headers = { authorization: `Basic ${Buffer.from(ann.http).toString('base64')}` };
      const page = `${site.report.http}/-/console/repository/team/app.git/-/pushes?format=json`;
      const answer: unknown = await (await fetch(page, { headers })).json();
      return (answer as { readonly changes: readonly Change[] }).changes; // as the page has it
    };
    const userOf = async (reference: string): Promise<unknown> => {
      let found: Change | undefined;
      await until(async () => {
        found = (await changes()).find((change) => change.reference === reference);
        return found !== undefined;
      }, `an event of ${reference}`);
      return found?.user;
    };
    const push = async (login: Login, ...refspecs: string[]): Promise<void> => {
      const { code, stderr } = await site.git(
        login,
        '-C',
        site.work,
        'push',
        '-q',
        site.url(login, 'team/app'),
        ...refspecs,
      );
      assert.equal(code, 0, stderr);
    };

    before(async () => {
      ann = await site.person('ann', '--access', 'admin');
      await site.user(['add', 'jörg', '--access', 'write', '--password-stdin'], 'secret\n');
      deploy = { ssh: await site.key('ci') };
      await site.did(
        'key',
        'add',
        '--deploy',
        'team/app',
        `${deploy.ssh}.pub`,
        '--name',
        'app-ci',
        '--write',
      );
      await site.start('--events', '--workers', workers);
      await site.commit();
      await push({ http: ann.http }, 'main');
      await runGit([
        '-C',
        join(site.data, 'repositories/team/app.git'),
        'config',
        'core.logAllRefUpdates',
        'always',
      ]);
    });
    after(() => site[Symbol.asyncDispose]());

    const ANN = { id: 'username-ann', name: 'ann' };
    const BY_TOKEN = { ...ANN, credential: { kind: 'token', name: 'first' } };

    test('the first push by HTTP, which creates the repository', async () => {
      assert.deepEqual(await userOf('refs/heads/main'), BY_TOKEN);
      const created = (await changes()).find(({ kind }) => kind === 'created');
      assert.deepEqual(created?.user, BY_TOKEN);
    });

    test('a push by SSH, with the name of the key', async () => {
      await push({ ssh: ann.ssh }, 'main:by-key');
      assert.deepEqual(await userOf('refs/heads/by-key'), {
        ...ANN,
        credential: { kind: 'key', name: 'ann' },
      });
    });

    test('a push with a password, by a name that is not ASCII', async () => {
      const url = `${site.report.http.replace('//', '//j%C3%B6rg:secret@')}/team/app`;
      await runGit(['-C', site.work, 'push', '-q', url, 'main:by-password']);
      const credential = { kind: 'password', name: '' };
      assert.deepEqual(await userOf('refs/heads/by-password'), {
        id: 'username-jörg',
        name: 'jörg',
        credential,
      });
    });

    test('a push with a deploy key', async () => {
      await push(deploy, 'main:by-deploy-key');
      assert.deepEqual(await userOf('refs/heads/by-deploy-key'), {
        ...{ id: 'username-app-ci', name: 'app-ci' },
        credential: { kind: 'key', name: 'app-ci' },
      });
    });

    test('a push that git serves: it deletes and creates', async () => {
      await push({ ssh: ann.ssh }, 'main:by-git', ':by-key');
      assert.deepEqual(await userOf('refs/heads/by-git'), {
        ...ANN,
        credential: { kind: 'key', name: 'ann' },
      });
    });

    test('pushes of two people at the same time', async () => {
      const numbers = Array.from({ length: 6 }, (_, number) => number);
      await Promise.all(
        numbers.map((number) =>
          push(number % 2 === 0 ? { http: ann.http } : deploy, `main:refs/heads/both/${number}`),
        ),
      );
      for (const number of numbers) {
        const user = await userOf(`refs/heads/both/${number}`);
        assert.equal(
          (user as { name?: string } | null)?.name,
          number % 2 === 0 ? 'ann' : 'app-ci',
          `push ${number}`,
        );
      }
    });

    test('a call with a principal', async () => {
      await using connection = await dial(`unix:${join(site.data, 'gitaly.socket')}`);
      const repository = {
        storageName: 'default',
        relativePath: 'team/app.git',
        glRepository: 'team/app.git',
      };
      const user = { glId: 'user-7', glUsername: 'rails', name: Buffer.from('R'), email: Buffer.from('r@x') };
      await connection.operation.userCreateBranch({
        ...{ repository, user },
        branchName: Buffer.from('by-call'),
        startPoint: Buffer.from('main'),
      });
      assert.deepEqual(await userOf('refs/heads/by-call'), { id: 'user-7', name: 'rails' });
    });

    test('a repository that is created, renamed and removed over SSH', async () => {
      for (const words of ['create a/b', 'rename a/b a/c', 'remove a/c --yes'])
        assert.equal((await site.ssh(ann.ssh, 'repo', words)).code, 0, words);

      await using connection = await dial(`unix:${join(site.data, 'gitaly.socket')}`);
      const { events } = await connection.events.list({ storageName: 'default', after: 0n });
      const made = events.filter(
        ({ kind, relativePath }) => kind !== Event_Kind.REFERENCE && /^a\/[bc]\.git$/.test(relativePath),
      );
      const shown = made.map(({ kind, user }) => [
        kind,
        user?.id,
        user?.name,
        user?.credentialKind,
        user?.credentialName,
      ]);
      const user = ['username-ann', 'ann', 'key', 'ann'];
      assert.deepEqual(shown, [
        [Event_Kind.CREATED, ...user],
        [Event_Kind.RENAMED, ...user],
        [Event_Kind.REMOVED, ...user],
      ]);
    });

    test('server-sent events name the user, and the reflog of the repository', async () => {
      const headers = {
        authorization: `Basic ${Buffer.from(ann.http).toString('base64')}`,
        accept: 'text/event-stream',
      };
      const response = await fetch(`${site.report.http}/-/events`, { headers });
      let text = '';
      for await (const chunk of response.body ?? []) {
        text += Buffer.from(chunk).toString();
        if (text.includes('refs/heads/by-password')) break;
      }
      assert.match(
        text,
        /"user":\{"id":"username-ann","name":"ann","credential":\{"kind":"token","name":"first"\}\}/,
      );
      assert.ok(!text.includes(ann.http.split(':')[1] ?? ''));
      const log = readFileSync(
        join(site.data, 'repositories/team/app.git/logs/refs/heads/by-deploy-key'),
        'utf8',
      );
      assert.match(log, / app-ci <app-ci@ssh\.127\.0\.0\.1> \d+ \+0000\tpush\n$/);
      const byGit = readFileSync(join(site.data, 'repositories/team/app.git/logs/refs/heads/by-git'), 'utf8');
      assert.match(byGit, / ann <ann@ssh\.127\.0\.0\.1> \d+ [+-]\d{4}\tpush\n$/);
    });
  });
