import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Secret } from '#base/secret';
import { pageAccess } from '#gateway/http/pages/serve-page';
import { tokenAuthentication } from '#gateway/index';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { issueToken } from '#tokens/issue';
import { parseScope } from '#tokens/scope';
import { TokenStore } from '#tokens/token-store';
import { PeopleSite } from '../people/people-site.ts';
import { openConsole } from './open-console.ts';

const ENTRY = /href="\/-\/console\/account"/;
const basic = (login: string): Record<string, string> => ({ authorization: `Basic ${btoa(login)}` });
const digestOf = (token: string): string => createHash('sha256').update(token).digest('hex');

test('people see their rights, keys and tokens, and nobody else sees them', {
  skip: NO_OPENSSH,
}, async () => {
  await using site = new PeopleSite();
  const ann = await site.person('ann', '--access', 'write', '--path', 'team');
  const bob = await site.person('bob', '--access', 'admin');
  const backup = await site.key('backup');
  await site.did('key', 'add', 'ann', `${backup}.pub`, '--name', 'backup', '--read-only');
  const ci = await site.did('token', 'add', 'ann', 'ci');
  const store = new TokenStore(join(site.data, 'tokens'));
  await store.prepare();
  const scope = parseScope({ access: 'read', repositories: ['team/app'] });
  const issue = (subject: string, lifetimeSeconds: number) =>
    issueToken(store, { subject, scope, lifetimeSeconds });
  const narrow = await issue('ann', 3600);
  const endless = await issue('ann', Number.POSITIVE_INFINITY);
  const revoked = await issue('ann', 3600);
  await store.revoke(revoked.id);
  const ofBob = await issue('bob', 3600);
  await site.start('--tokens');
  const get = (headers: Record<string, string>) =>
    fetch(`${site.report.http}/-/console/account`, { headers, redirect: 'manual' });
  // biome-ignore lint/suspicious/noExplicitAny: the test reads fields of a page
  const json = async (login: string): Promise<any> =>
    await (await get({ ...basic(login), accept: 'application/json' })).json();
  const fingerprint = async (key: string): Promise<string | undefined> =>
    (await run('ssh-keygen', ['-lf', `${key}.pub`])).stdout.split(' ')[1];

  const shown = await json(ann.http);

  assert.deepEqual([shown.name, shown.credential.kind, shown.rights], ['ann', 'token', ['write team']]);
  assert.deepEqual(
    shown.keys.map((key: Record<string, string>) => [key.fingerprint, key.scope]),
    [
      [await fingerprint(ann.ssh), 'write team'],
      [await fingerprint(backup), 'read team'],
    ],
  );
  const tokens: { name: string; scope: string; expires: string | null }[] = shown.tokens;
  const found = new Map(tokens.map((token) => [token.name, [token.scope, token.expires]]));
  assert.deepEqual(found.get('ci'), ['write team', null]);
  assert.deepEqual(found.get(narrow.id), ['read team/app', new Date(narrow.expiresAt * 1000).toISOString()]);
  assert.deepEqual(found.get(endless.id), ['read team/app', null]);
  assert.deepEqual([found.size, found.has(revoked.id), found.has(ofBob.id)], [4, false, false]);
  const page = await (await get(basic(ann.http))).text();
  assert.match(page, ENTRY);
  const annToken = ann.http.split(':')[1] ?? '';
  for (const secret of [ci, annToken, narrow.token, endless.token, digestOf(ci), digestOf(annToken)])
    for (const text of [page, JSON.stringify(shown)]) assert.ok(!text.includes(secret));

  // A token may have fewer rights than the others of its name, so it shows itself only.
  const own = await json(`ann:${narrow.token}`);
  assert.deepEqual(
    [own.name, own.credential, own.rights, own.keys],
    [...['ann', { kind: 'token', name: narrow.id }, ['read team/app'], []]],
  );
  assert.deepEqual(
    own.tokens.map(({ name }: { name: string }) => name),
    [narrow.id],
  );
  assert.deepEqual((await json(bob.http)).rights, ['admin everything']);
  const statuses = [{}, basic('ann:wrong'), basic(`ann:${revoked.token}`)].map(
    async (headers) => (await get(headers)).status,
  );
  assert.deepEqual(await Promise.all(statuses), [401, 403, 403]);
});

test('a user of a file sees the tokens of the file, and a hostile name is text', async (context) => {
  const directory = makeScratchDirectory('account');
  context.after(() => rmSync(directory, { recursive: true }));
  const authFile = join(directory, 'users');
  const name = '"><img/src=x>';
  writeFileSync(
    authFile,
    `${name} read sha256:${digestOf('one')} team\n${name} write sha256:${digestOf('two')}\n` +
      `other write sha256:${digestOf('three')}\n`,
  );
  await using console = await openConsole({ authFile });

  const shown = await console.json('/account', basic(`${name}:one`));

  assert.deepEqual(shown, {
    name,
    credential: { kind: 'token', name: `sha256:${digestOf('one').slice(0, 8)}` },
    rights: ['read team'],
    keys: [],
    tokens: [
      {
        name: `sha256:${digestOf('one').slice(0, 8)}`,
        scope: 'read team',
        expires: null,
        isRemovable: false,
      },
      {
        name: `sha256:${digestOf('two').slice(0, 8)}`,
        scope: 'write everything',
        expires: null,
        isRemovable: false,
      },
    ],
  });
  const { text } = await console.get('/account', basic(`${name}:one`));
  assert.doesNotMatch(text, /<img|<button/);
  assert.match((await console.get('/overview', basic(`${name}:one`))).text, ENTRY);
  assert.equal((await console.get('/account')).status, 401);
  const token = `sha256:${digestOf('one').slice(0, 8)}`;
  for (const [body, status] of [
    [undefined, 405],
    [new URLSearchParams({ token }), 404],
  ] as const) {
    const headers = basic(`${name}:one`);
    const posted = await fetch(`${console.url}/account`, { method: 'POST', headers, ...(body && { body }) });
    assert.equal(posted.status, status);
  }
});

test('a server without users has no page about them', async () => {
  await using console = await openConsole();

  assert.equal((await console.get('/account', basic('ann:x'))).status, 404);
  assert.doesNotMatch((await console.get('/overview', basic('ann:x'))).text, ENTRY);
  const client = { headers: {}, remoteAddress: undefined, scheme: 'http' } as const;
  assert.equal(pageAccess(tokenAuthentication(new Secret('x')), client).account, undefined);
});
