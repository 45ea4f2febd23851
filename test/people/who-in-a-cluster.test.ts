import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { test } from 'node:test';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { withoutOwnPostgres } from '#testkit/servers/start-postgres';
import { PeopleSite } from './people-site.ts';

test('events of a cluster name who pushed', { skip: withoutOwnPostgres || NO_OPENSSH }, async () => {
  await using site = new PeopleSite();
  chmodSync(site.directory, 0o711); // for root, PostgreSQL runs as another user
  const ann = await site.person('ann', '--access', 'admin');
  await site.start('--events', '--cluster', '2');
  await site.commit();
  for (const [branch, login] of [
    ['by-token', { http: ann.http }],
    ['by-key', { ssh: ann.ssh }],
  ] as const) {
    const url = site.url(login, 'team/app');
    const { code, stderr } = await site.git(login, '-C', site.work, 'push', '-q', url, `main:${branch}`);
    assert.equal(code, 0, stderr);
  }

  const headers = { authorization: `Basic ${Buffer.from(ann.http).toString('base64')}` };
  const response = await fetch(`${site.report.http}/-/events`, { headers });
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (text.includes('refs/heads/by-key')) break;
  }
  for (const [branch, credential] of [
    ['by-token', '{"kind":"token","name":"first"}'],
    ['by-key', '{"kind":"key","name":"ann"}'],
  ] as const) {
    const line: string =
      text.split('\n').find((each) => each.startsWith('data: ') && each.includes(`refs/heads/${branch}"`)) ??
      '';
    assert.ok(line.includes(`"user":{"id":"username-ann","name":"ann","credential":${credential}}`), line);
  }
});
