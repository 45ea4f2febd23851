import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { People } from '#gateway/people/people';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { until } from '#testkit/until';
import { PeopleSite } from '../people/people-site.ts';
import { basic, openSite } from './account-site.ts';

test('people remove their own keys and tokens, and no others', { skip: NO_OPENSSH }, async () => {
  await using site = new PeopleSite();
  const { ann, bob, log, post, revoked } = await openSite(site);
  const before = site.text();

  const ofAnn = [{ key: ann.key }, { key: 'ann' }, { token: 'ci-of-ann' }, { token: ann.issued.id }];
  const refusals: readonly (readonly [Record<string, string>, readonly object[], number])[] = [
    [basic(bob.http), ofAnn, 404],
    [basic(bob.issued.login), [...ofAnn, { key: bob.key }, { token: 'ci-of-bob' }, { token: 'first' }], 404],
    [basic(ann.issued.login), [{ key: ann.key }, { token: 'ci-of-ann' }, { token: ann.other }], 404],
    [basic('ann:wrong'), ofAnn, 403],
    [{}, ofAnn, 401],
    [basic(ann.http), [{ key: '' }, { token: '../revoked' }, { token: ann.key }], 404],
    [basic(ann.http), [{}, { password: 'x' }], 405],
  ];
  for (const [headers, secrets, status] of refusals)
    for (const secret of secrets)
      assert.equal((await post(headers, { ...secret })).status, status, JSON.stringify([headers, secret]));
  const own = { key: ann.key };
  const { http: origin } = site.report;
  assert.equal((await post({ ...basic(ann.http), origin }, own)).status, 403);
  assert.equal((await post({ ...basic(ann.http), origin: 'http://evil.example' }, own)).status, 403);
  assert.deepEqual([site.text(), await revoked()], [before, []]);

  for (const secret of [own, { token: 'ci-of-ann' }, { token: ann.issued.id }]) {
    const answer = await post(basic(ann.http), { ...secret });
    const [kind] = Object.keys(secret);
    assert.deepEqual(
      [answer.status, answer.headers.get('location')],
      [303, `/-/console/account?removed=${kind}`],
    );
    assert.equal((await post(basic(ann.http), { ...secret })).status, 404, 'once');
  }
  const statusOf = async (login: string): Promise<number> =>
    (await fetch(`${site.report.http}/-/console/account`, { headers: basic(login) })).status;
  assert.deepEqual([await statusOf(ann.ci), await statusOf(ann.issued.login)], [403, 403]);
  assert.notEqual((await site.ssh(ann.ssh)).code, 0);
  assert.equal((await site.ssh(bob.ssh)).code, 0);
  assert.deepEqual([await statusOf(bob.http), await statusOf(bob.issued.login)], [200, 200]);
  assert.deepEqual(await revoked(), [ann.issued.id]);

  const last = await post(basic(bob.issued.login), { token: bob.issued.id });
  assert.match(await last.text(), /The token was revoked\. You were signed in with it\./);
  assert.equal(await statusOf(bob.issued.login), 403);
  const changes = (): string[][] =>
    readFileSync(log, 'utf8')
      .split('\n')
      .flatMap((line) => (line.includes('"change"') ? [JSON.parse(line)] : []))
      .map(({ change, credential_name: name, outcome, user }) => [user, name, change, outcome]);
  await until(() => changes().length === 4);
  assert.deepEqual(changes(), [
    ['ann', 'first', `removed key ${ann.key}`, 'ok'],
    ['ann', 'first', 'removed token ci-of-ann', 'ok'],
    ['ann', 'first', `removed token ${ann.issued.id}`, 'ok'],
    ['bob', bob.issued.id, `removed token ${bob.issued.id}`, 'ok'],
  ]);
});

test('a file of people that cannot be changed stays as it is', { skip: NO_OPENSSH }, async () => {
  await using site = new PeopleSite();
  const { ann, post } = await openSite(site);
  appendFileSync(site.people, '# A comment that would be lost\n');
  const before = site.text();

  const answer = await post(basic(ann.http), { key: ann.key });

  assert.equal(answer.status, 422);
  assert.match(await answer.text(), /this comment would be lost/);
  assert.equal(site.text(), before);
});

test('a file of people that the server may not write has no buttons', {
  skip: process.getuid?.() === 0 && 'root is forbidden nothing',
}, async () => {
  await using site = new PeopleSite();
  await site.did('add', 'ann', '--access', 'read', '--token');
  const people = await People.open(site.people, () => {});
  assert.equal(await people.isWritable(), true);

  chmodSync(dirname(site.people), 0o500);
  try {
    assert.equal(await people.isWritable(), false);
  } finally {
    chmodSync(dirname(site.people), 0o700); // to be removed
  }
});
