import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateKeyPair, SignJWT } from 'jose';
import { Secret } from '#base/secret';
import { parseRepositoryPath, type RepositoryPath } from '#gateway/repository-path';
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
  const isAdministrator = (token: string, path?: RepositoryPath): Promise<boolean> | undefined => {
    const headers = { authorization: `Basic ${btoa(`git:${token}`)}` };
    return authenticator.isAdministrator?.({ headers, remoteAddress: '192.0.2.1', scheme: 'http' }, path);
  };
  const paths = ['team/a.git', 'other/a.git'].map((path) => parseRepositoryPath(path) as RepositoryPath);
  const noForcePush = [{ allow: '**', force: false }];
  for (const [scope, expected, at] of [
    [{ access: 'admin', repositories: ['**'] }, true, [true, true]],
    [{ access: 'admin', repositories: ['team/**'] }, false, [true, false]],
    [{ access: 'admin', repositories: ['team/**', '**'] }, true, [true, true]],
    [{ access: 'write', repositories: ['**'] }, false, [false, false]],
    [{ access: 'admin', repositories: ['**'], references: noForcePush }, false, [false, false]],
  ] as const) {
    const issued = { subject: 'ops', scope: parseScope(scope), lifetimeSeconds: 60 };
    const { id, token } = await issueToken(store, issued);
    assert.equal(await isAdministrator(token), expected, JSON.stringify(scope));
    for (const [index, path] of paths.entries())
      assert.equal(await isAdministrator(token, path), at[index], `${path} ${JSON.stringify(scope)}`);
    if (expected) await store.revoke(id);
    assert.equal(await isAdministrator(token), false);
  }
  assert.equal(await isAdministrator('the token of the server'), true);
  assert.equal(await isAdministrator('another token'), false);
});

// "The name, password or token is wrong", so that people looked for a typing error.
test('the holder of an expired token is told so, and nobody else', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'tokens-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const store = new TokenStore(directory);
  await store.prepare();
  const { id: kid, key } = await store.signingKey();
  const now = Math.floor(Date.now() / 1000);
  const scope = { access: 'read', repositories: ['**'] };
  const fields = { subject: 'ci', scope: parseScope(scope), issuedAt: now - 3600, expiresAt: now - 60 };
  const id = await store.note(fields);
  const claims = { iss: 'gitaly-ts', aud: 'gitaly-ts', sub: 'ci', jti: id, exp: now - 60, gitaly_ts: scope };
  const sign = (changes: object, by = key): Promise<string> =>
    new SignJWT({ ...claims, ...changes }).setProtectedHeader({ alg: 'EdDSA', kid }).sign(by);
  const authenticator = scopedTokenAuthentication({ verifier: new TokenVerifier({ store }) });
  const answerTo = async (token: string): Promise<string | undefined> => {
    const admission = await authenticator.authenticate({
      headers: { authorization: `Bearer ${token}` },
      remoteAddress: '192.0.2.1',
      scheme: 'http',
      path: parseRepositoryPath('a.git') as RepositoryPath, // it is valid
      operation: 'read',
    });
    return 'answer' in admission ? admission.answer.text : undefined;
  };

  assert.equal(await answerTo(await sign({})), 'The token has expired. Ask for a new one.');
  const wrong = 'The name, password or token is wrong.';
  const { privateKey } = await generateKeyPair('EdDSA');
  assert.equal(await answerTo(await sign({}, privateKey)), wrong);
  assert.equal(await answerTo(await sign({ aud: 'other' })), wrong);
  assert.equal(await answerTo(await sign({ iss: 'other' })), wrong);
  await store.revoke(id);
  assert.equal(await answerTo(await sign({})), wrong);
});
