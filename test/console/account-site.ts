import assert from 'node:assert/strict';
import { join } from 'node:path';
import { run } from '#testkit/run-program';
import { issueToken } from '#tokens/issue';
import { parseScope } from '#tokens/scope';
import { TokenStore } from '#tokens/token-store';
import type { PeopleSite } from '../people/people-site.ts';

export const basic = (login: string): Record<string, string> => ({ authorization: `Basic ${btoa(login)}` });

/** Two people with keys and tokens of both kinds, on a server with an access log. */
export async function openSite(site: PeopleSite) {
  const log = join(site.directory, 'access.log');
  const store = new TokenStore(join(site.data, 'tokens'));
  await store.prepare();
  const scope = parseScope({ access: 'read', repositories: ['**'] });
  const people = await Promise.all(
    ['ann', 'bob'].map(async (name) => {
      const issue = () => issueToken(store, { subject: name, scope, lifetimeSeconds: 3600 });
      const [issued, other] = [await issue(), await issue()];
      return { name, issued: { login: `${name}:${issued.token}`, id: issued.id }, other: other.id };
    }),
  );
  const shown = [];
  for (const { issued, name, other } of people) {
    const { http, ssh } = await site.person(name, '--access', 'write');
    const ci = await site.did('token', 'add', name, `ci-of-${name}`);
    const key = (await run('ssh-keygen', ['-lf', `${ssh}.pub`])).stdout.split(' ')[1] ?? '';
    shown.push({ name, http, ssh, issued, other, ci: `${name}:${ci}`, key });
  }
  await site.start('--tokens', '--log', log);
  const post = async (headers: Record<string, string>, fields: Record<string, string>, query = '') =>
    await fetch(`${site.report.http}/-/console/account${query}`, {
      method: 'POST',
      headers,
      body: new URLSearchParams(fields),
      redirect: 'manual',
    });
  const revoked = async (): Promise<string[]> =>
    (await store.list()).filter(({ isRevoked }) => isRevoked).map(({ id }) => id);
  const [ann, bob] = shown;
  assert.ok(ann && bob);
  return { ann, bob, post, revoked, log };
}
