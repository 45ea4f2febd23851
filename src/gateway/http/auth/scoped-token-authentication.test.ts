import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Secret } from '#base/secret';
import { issueToken } from '#tokens/issue';
import { parseScope } from '#tokens/scope';
import { TokenStore } from '#tokens/token-store';
import { TokenVerifier } from '#tokens/token-verifier';
import { scopedTokenAuthentication } from './scoped-token-authentication.ts';
import { tokenAuthentication } from './token-authentication.ts';

test('an administrator has all rights to all repositories', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'tokens-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const store = new TokenStore(directory);
  const authenticator = scopedTokenAuthentication({
    verifier: new TokenVerifier({ store }),
    otherwise: tokenAuthentication(new Secret('the token of the server')),
  });
  const isAdministrator = (token: string): Promise<boolean> | undefined =>
    authenticator.isAdministrator?.({
      headers: { authorization: `Basic ${btoa(`git:${token}`)}` },
      remoteAddress: '192.0.2.1',
      scheme: 'http',
    });
  const noForcePush = [{ allow: '**', force: false }];
  for (const [scope, expected] of [
    [{ access: 'admin', repositories: ['**'] }, true],
    [{ access: 'admin', repositories: ['team/**'] }, false],
    [{ access: 'admin', repositories: ['team/**', '**'] }, true],
    [{ access: 'write', repositories: ['**'] }, false],
    [{ access: 'admin', repositories: ['**'], references: noForcePush }, false],
  ] as const) {
    const issued = { subject: 'ops', scope: parseScope(scope), lifetimeSeconds: 60 };
    const { id, token } = await issueToken(store, issued);
    assert.equal(await isAdministrator(token), expected, JSON.stringify(scope));
    if (expected) await store.revoke(id);
    assert.equal(await isAdministrator(token), false);
  }
  assert.equal(await isAdministrator('the token of the server'), true);
  assert.equal(await isAdministrator('another token'), false);
});
