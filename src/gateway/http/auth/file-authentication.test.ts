import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseRepositoryPath } from '#gateway/repository-path';
import { quickPasswordHash } from '#testkit/values/quick-password-hash';
import type { AccessRequest, Authenticator } from '../authentication.ts';
import { fileAuthentication } from './file-authentication.ts';
import { createToken, hashPassword } from './password-hash.ts';

const ANN = quickPasswordHash('ann’s password');
const CI = createToken();
const ROOT = createToken();
const FILE = `
ann        write  ${ANN}      team/
ann        read   ${ANN}
ci         write  ${CI.hash}  team/app.git
anonymous  read   -           public/
root       admin  ${ROOT.hash}
`;

/** @param hash of Ann's password */
async function open(
  context: TestContext,
  hash = ANN,
): Promise<{ authenticator: Authenticator; path: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'auth-file-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'auth');
  writeFileSync(path, FILE.replaceAll(ANN, hash));
  return { authenticator: await fileAuthentication({ path }), path };
}

function ask(
  authorization: string | undefined,
  operation: AccessRequest['operation'],
  repository: string,
): AccessRequest {
  const path = parseRepositoryPath(repository);
  if (typeof path !== 'string') throw new Error(path.refusal);
  return { headers: { authorization }, remoteAddress: '192.0.2.1', scheme: 'http', operation, path };
}

const basic = (name: string, password: string) =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
const ANN_BASIC = basic('ann', 'ann’s password');

const DECISIONS = [
  ['a password opens what it may read', ANN_BASIC, 'read', 'other/a', 'username-ann'],
  ['a password opens what it may write', ANN_BASIC, 'write', 'team/a', 'username-ann'],
  ['an administrator pushes everywhere', `Bearer ${ROOT.token}`, 'write', 'team/secret', 'username-root'],
  ['reading alone does not push', ANN_BASIC, 'write', 'other/a', 403],
  ['a token as bearer', `Bearer ${CI.token}`, 'write', 'team/app', 'username-ci'],
  ['a token in place of the password', basic('ci', CI.token), 'write', 'team/app', 'username-ci'],
  ['a token with another name', basic('ann', CI.token), 'write', 'team/app', 401],
  ['what a token may not read does not exist', `Bearer ${CI.token}`, 'read', 'team/secret', 404],
  ['a token reads what everybody reads', `Bearer ${CI.token}`, 'read', 'public/a', 'username-ci'],
  ['a wrong password', basic('ann', 'ann’s passwor'), 'read', 'other/a', 401],
  ['a wrong password, where everybody may read', basic('ann', 'x'), 'read', 'public/a', 401],
  ['an unknown name', basic('bob', 'ann’s password'), 'read', 'other/a', 401],
  ['an unknown token', 'Bearer abc', 'read', 'other/a', 401],
  ['a hash in place of the password', basic('ann', ANN), 'read', 'other/a', 401],
  ['another scheme', 'Digest abc', 'read', 'public/a', 401],
  ['nobody, where everybody may read', undefined, 'read', 'public/a', 'username-anonymous'],
  ['nobody, pushing', undefined, 'write', 'public/a', 401],
  ['nobody, elsewhere', undefined, 'read', 'other/a', 401],
] as const;

test('the file determines who is accepted', async (context) => {
  const { authenticator } = await open(context);
  for (const [name, authorization, operation, repository, expected] of DECISIONS) {
    await context.test(name, async () => {
      const decision = await authenticator.authenticate(ask(authorization, operation, repository));

      assert.equal('answer' in decision ? decision.answer.status : decision.glId, expected);
      if ('answer' in decision && expected === 401)
        assert.match(decision.answer.headers?.['WWW-Authenticate'] ?? '', /^Basic /);
    });
  }
});

test('only a line with the right admin makes an administrator', async (context) => {
  const { authenticator } = await open(context);
  for (const [authorization, expected] of [
    [`Bearer ${ROOT.token}`, true],
    [basic('root', ROOT.token), true],
    [basic('ann', ROOT.token), false],
    [ANN_BASIC, false],
    [`Bearer ${CI.token}`, false],
    ['Bearer abc', false],
    [undefined, false],
  ] as const) {
    const client = { headers: { authorization }, remoteAddress: '192.0.2.1', scheme: 'http' } as const;
    assert.equal(await authenticator.isAdministrator?.(client), expected);
  }
});

test('an unknown name takes as long as a wrong password; a correct one is hashed once', async (context) => {
  const { authenticator } = await open(context, await hashPassword('ann’s password'));
  const time = async (authorization: string): Promise<number> => {
    const start = performance.now();
    await authenticator.authenticate(ask(authorization, 'read', 'a'));
    return performance.now() - start;
  };

  const first = await time(ANN_BASIC);
  const again = await time(ANN_BASIC);
  const wrong = await time(basic('ann', 'x'));
  const unknown = await time(basic('nobody', 'x'));

  assert.ok(again < first / 5, `${again} ms after ${first} ms`);
  assert.ok(
    unknown > wrong / 4 && wrong > unknown / 4,
    `${unknown} ms for an unknown name, ${wrong} ms for a wrong password`,
  );
});

test('concurrent guesses beyond the limit are refused, and equal ones count once', async (context) => {
  const { authenticator } = await open(context, await hashPassword('ann’s password'));
  const guess = async (password: string): Promise<number | string> => {
    const decision = await authenticator
      .authenticate(ask(basic('ann', password), 'read', 'a'))
      .catch((error) => error);
    return 'answer' in decision ? decision.answer.status : decision.glId;
  };

  const same = await Promise.all(Array.from({ length: 100 }, () => guess('ann’s password')));
  const different = await Promise.all(Array.from({ length: 20 }, (_, i) => guess(String(i))));

  assert.deepEqual(new Set(same), new Set(['username-ann']));
  assert.deepEqual(different.filter((status) => status === 401).length, 8);
  assert.deepEqual(different.filter((status) => status === 429).length, 12);
});

test('a changed file takes effect, also for cached passwords', async (context) => {
  const { authenticator, path } = await open(context);
  const question = ask(ANN_BASIC, 'read', 'a');
  assert.equal('answer' in (await authenticator.authenticate(question)), false);

  writeFileSync(path, `ann read ${quickPasswordHash('another')}\n`);
  const now = performance.now();
  context.mock.method(performance, 'now', () => now + 1100);

  const decision = await authenticator.authenticate(question);
  assert.equal('answer' in decision && decision.answer.status, 401);
});

test('an invalid file at the start is an error that names the line', async (context) => {
  const { path } = await open(context);
  writeFileSync(path, 'ann write hunter2\n');

  await assert.rejects(fileAuthentication({ path }), /line 1: the hash is not of a known kind/);
});
