import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '#testkit/until';
import { issueToken, NEVER_EXPIRES_AT } from './issue.ts';
import { parseScope } from './scope.ts';
import { TokenStore } from './token-store.ts';
import { TokenVerifier } from './token-verifier.ts';

const SCOPE = parseScope({ access: 'read', repositories: ['**'] });
const DAY = 86_400;

function open(context: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'tokens-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const store = new TokenStore(directory);
  const filesOf = (kind: 'issued' | 'revoked'): string[] => readdirSync(join(directory, kind)).sort();
  return { store, filesOf };
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

test('the files of a token and its revocation go 30 days after its end', async (context) => {
  const { filesOf, store } = open(context);
  await store.prepare();
  const note = (daysAgo: number): Promise<string> =>
    store.note({ subject: 'ci', scope: SCOPE, issuedAt: 0, expiresAt: now() - daysAgo * DAY });
  const kept = await note(29);
  const foreign = 'of-another-issuer';
  await store.revoke(foreign); // its end is not known
  await store.revoke(kept);
  const old = await note(31);
  await store.revoke(old);

  const { id } = await issueToken(store, { subject: 'ci', scope: SCOPE, lifetimeSeconds: DAY });

  assert.deepEqual(filesOf('issued'), [id, kept].sort());
  assert.deepEqual(filesOf('revoked'), [foreign, kept].sort());
});

test('tokens are listed from the oldest on, with what became of them', async (context) => {
  const { store } = open(context);
  await store.prepare();
  const note = (subject: string, issuedAt: number, expiresAt: number): Promise<string> =>
    store.note({ subject, scope: SCOPE, issuedAt, expiresAt });
  await note('third', 30, now() + DAY);
  await note('first', 10, now() - DAY);
  await store.revoke(await note('second', 20, now() + DAY));

  const listed = await store.list();

  assert.deepEqual(
    listed.map(({ subject, isExpired, isRevoked }) => ({ subject, isExpired, isRevoked })),
    [
      { subject: 'first', isExpired: true, isRevoked: false },
      { subject: 'second', isExpired: false, isRevoked: true },
      { subject: 'third', isExpired: false, isRevoked: false },
    ],
  );
});

test('the holder of tokens sees and revokes those of the same name that are accepted', async (context) => {
  const { store } = open(context);
  const verifier = new TokenVerifier({ store });
  await verifier.prepare();
  const note = (subject: string, expiresAt: number): Promise<string> =>
    store.note({ subject, scope: SCOPE, issuedAt: 0, expiresAt });
  const own = await note('ann', now() + DAY);
  const expired = await note('ann', now() - DAY);
  const others = await note('bob', now() + DAY);

  assert.deepEqual(
    (await verifier.issuedTo('ann')).map(({ id }) => id),
    [own],
  );
  for (const id of [expired, others, 'unknown']) {
    assert.equal(await verifier.revokeIssued('ann', id), false);
    assert.equal(await store.isRevoked(id), false);
  }
  assert.equal(await verifier.revokeIssued('ann', own), true);
  assert.equal(await store.isRevoked(own), true);
  assert.deepEqual(await verifier.issuedTo('ann'), []);
});

test('the newest key signs, and a directory without keys is an error', async (context) => {
  const { store } = open(context);
  await assert.rejects(store.signingKey(), /has no key/);
  await store.prepare();
  const ids = await store.keyIds();
  for (let count = 0; count < 5; count++) {
    const madeMs = Date.now();
    await until(() => Date.now() > madeMs); // the next one is younger
    ids.push(await store.addKey());
    assert.equal((await store.signingKey()).id, ids.at(-1));
  }

  assert.deepEqual(await store.keyIds(), ids);
});

test('a token is valid for one second to ten years, or has no end', async (context) => {
  const { filesOf, store } = open(context);
  await store.prepare();
  const issue = (lifetimeSeconds: number) =>
    issueToken(store, { subject: 'ci', scope: SCOPE, lifetimeSeconds });
  for (const seconds of [1, 10 * 365 * DAY]) {
    const { expiresAt } = await issue(seconds);
    assert.ok(Math.abs(expiresAt - seconds - now()) < 60);
  }
  assert.equal((await issue(Number.POSITIVE_INFINITY)).expiresAt, NEVER_EXPIRES_AT);
  for (const seconds of [0, -1, 1.5, Number.NaN, 11 * 366 * DAY])
    await assert.rejects(issue(seconds), /one second to ten years/);
  assert.equal(filesOf('issued').length, 3);
});

test('a name of a token has 1 to 128 characters of a word', async (context) => {
  const { store } = open(context);
  const verifier = new TokenVerifier({ store });
  const issue = (subject: string) => issueToken(store, { subject, scope: SCOPE, lifetimeSeconds: DAY });
  for (const subject of ['a', 'ann.b@c-d_e+1', 'a'.repeat(128)]) {
    const { token } = await issue(subject);
    assert.equal((await verifier.verify(token))?.subject, subject);
  }
  for (const subject of ['', 'a b', 'a\n', 'a/b', 'ä', 'a'.repeat(129)])
    await assert.rejects(issue(subject), /a name has 1 to 128 letters/);
});
