import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { replaceMethod } from '#testkit/replace-method';
import { issueToken } from './issue.ts';
import { REFERENCE_RULE_KIND } from './reference-rules.ts';
import { parseScope } from './scope.ts';
import { TokenStore } from './token-store.ts';
import { TokenVerifier } from './token-verifier.ts';

const SCOPE = parseScope({ access: 'write', repositories: ['team/**'] });
const HOUR = 3600;

interface Opened extends Disposable {
  readonly directory: string;
  readonly store: TokenStore;
  readonly verifier: TokenVerifier;
}

function open(): Opened {
  const directory = mkdtempSync(join(tmpdir(), 'tokens-'));
  const store = new TokenStore(directory);
  return {
    directory,
    store,
    verifier: new TokenVerifier({ store }),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

test('a token names its owner and scope, and is kept nowhere', async () => {
  using opened = open();
  const { directory, store, verifier } = opened;
  const { id, token } = await issueToken(store, { subject: 'ci', scope: SCOPE, lifetimeSeconds: HOUR });

  assert.deepEqual(await verifier.verify(token), { id, subject: 'ci', scope: SCOPE });
  assert.deepEqual(
    (await store.list()).map((listed) => [listed.id, listed.subject, listed.isRevoked]),
    [[id, 'ci', false]],
  );
  const signature = token.split('.')[2] ?? '';
  for (const kind of ['keys', 'issued', 'revoked'])
    for (const name of readdirSync(join(directory, kind))) {
      const file = join(directory, kind, name);
      assert.equal(statSync(file).mode & 0o777, 0o600);
      assert.ok(!readFileSync(file, 'utf8').includes(signature));
    }
});

test('what is not signed with one of the keys is refused', async () => {
  using opened = open();
  const { directory, store, verifier } = opened;
  const { token } = await issueToken(store, { subject: 'ci', scope: SCOPE, lifetimeSeconds: HOUR });
  const [head = '', body = '', signature = ''] = token.split('.');
  const [kid = ''] = readdirSync(join(directory, 'keys'));
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
  const { x = '' } = JSON.parse(readFileSync(join(directory, 'keys', kid), 'utf8')).key;
  const hmac = (header: string): string =>
    createHmac('sha256', Buffer.from(x, 'base64url')).update(`${header}.${body}`).digest('base64url');
  const hs256 = part({ alg: 'HS256', kid });
  const { privateKey } = await generateKeyPair('EdDSA');
  const byOther = (header: object, payload: object = claims): Promise<string> =>
    new SignJWT({ ...payload }).setProtectedHeader({ alg: 'EdDSA', ...header }).sign(privateKey);

  const forged: Readonly<Record<string, string>> = {
    'alg none': `${part({ alg: 'none', kid })}.${body}.`,
    'alg none, with a signature': `${part({ alg: 'none', kid })}.${body}.${signature}`,
    'HS256 with the public key': `${hs256}.${body}.${hmac(hs256)}`,
    'other claims': `${head}.${part({ ...claims, sub: 'root' })}.${signature}`,
    'another key': await byOther({ kid }),
    'no kid': await byOther({}),
    'a kid that is a path': await byOther({ kid: '../issued/x' }),
    'a kid that is a device': await byOther({ kid: '/dev/zero' }),
    'a key in the header': await byOther({
      kid,
      jwk: generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }),
    }),
    'cut off': token.slice(0, -10),
    'three points': `${token}.x`,
    'a line feed': `${token}\n`,
    'very long': `eyJ${'a'.repeat(100_000)}.b.c`,
    empty: '',
  };
  for (const [name, text] of Object.entries(forged))
    assert.equal(await verifier.verify(text), undefined, name);
  assert.notEqual(await verifier.verify(token), undefined);
});

test('time, audience, issuer, subject and id are checked', async () => {
  using opened = open();
  const { store, verifier } = opened;
  await store.prepare();
  const { id: kid, key } = await store.signingKey();
  const now = Math.floor(Date.now() / 1000);
  const good = {
    iss: 'gitaly-ts',
    aud: 'gitaly-ts',
    sub: 'ci',
    jti: 'abc',
    exp: now + HOUR,
    gitaly_ts: { access: 'read', repositories: ['**'] },
  };
  const isValid = async (claims: object): Promise<boolean> => {
    const token = await new SignJWT({ ...good, ...claims })
      .setProtectedHeader({ alg: 'EdDSA', kid })
      .sign(key);
    return (await verifier.verify(token)) !== undefined;
  };

  assert.equal(await isValid({}), true);
  const bad: Readonly<Record<string, object>> = {
    expired: { exp: now - 60 },
    'without end': { exp: undefined },
    'in the future': { nbf: now + 60 },
    audience: { aud: 'other' },
    issuer: { iss: 'other' },
    'no subject': { sub: undefined },
    'a subject of two lines': { sub: 'ci\nroot' },
    'a subject with NUL': { sub: 'ci\0' },
    'no id': { jti: undefined },
    'an id that is a path': { jti: '../keys' },
    'no scope': { gitaly_ts: undefined },
    'an unknown field': { gitaly_ts: { ...good.gitaly_ts, reference: [] } },
    'a misspelt restriction': {
      gitaly_ts: { ...good.gitaly_ts, references: [{ allow: '**', no_force: true }] },
    },
  };
  for (const [name, claims] of Object.entries(bad)) assert.equal(await isValid(claims), false, name);
  await store.revoke('abc');
  assert.equal(await isValid({}), false, 'revoked');
});

// Symptom: tokens of issuers whose ids have colons or points were refused without a word.
test('ids of other issuers are accepted, and can be revoked', async () => {
  using opened = open();
  const { directory, store } = opened;
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwks = join(directory, 'jwks.json');
  writeFileSync(jwks, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'theirs' }] }));
  const issuer = 'https://id.example.com';
  const verifier = new TokenVerifier({ store, foreign: { jwks, issuer } });
  await verifier.prepare();
  const isAccepted = async (id: string): Promise<boolean> => {
    const token = await new SignJWT({ gitaly_ts: { access: 'read', repositories: ['**'] } })
      .setProtectedHeader({ alg: 'ES256', kid: 'theirs' })
      .setIssuer(issuer)
      .setAudience('gitaly-ts')
      .setSubject('ann')
      .setJti(id)
      .setExpirationTime('1h')
      .sign(privateKey);
    return (await verifier.verify(token)) !== undefined;
  };

  for (const id of ['urn:uuid:0b9c', 'AT.0mP4', 'plain', '..']) {
    assert.equal(await isAccepted(id), true, id);
    await store.revoke(id);
    assert.equal(await isAccepted(id), false, id);
  }
  assert.equal(await isAccepted('a/b'), false);
  assert.equal(readdirSync(join(directory, 'revoked')).length, 4);
});

// Symptom: an id with a leading hyphen was an option to `token revoke`.
test('ids of tokens and keys are arguments of commands as they are', async () => {
  using opened = open();
  const { store } = opened;
  await store.prepare();
  const fields = { subject: 'ci', scope: SCOPE, issuedAt: 0, expiresAt: HOUR };

  const ids = [await store.addKey(), await store.note(fields), ...(await store.keyIds())];

  for (const id of ids) assert.match(id, /^[\da-f]{32}$/);
});

// Born failing: the entry of a revoked token went with its end, and a clock may be seconds late.
test('a revoked token is refused also in the moment after its end', async () => {
  using opened = open();
  const { store, verifier } = opened;
  await store.prepare();
  const { id: kid, key } = await store.signingKey();
  const now = Math.floor(Date.now() / 1000);
  const fields = { subject: 'ci', scope: SCOPE, issuedAt: now - HOUR, expiresAt: now - 2 };
  const id = await store.note(fields);
  const claims = { iss: 'gitaly-ts', aud: 'gitaly-ts', sub: 'ci', jti: id, exp: now - 2 };
  const token = await new SignJWT({ ...claims, gitaly_ts: { access: 'read', repositories: ['**'] } })
    .setProtectedHeader({ alg: 'EdDSA', kid })
    .sign(key);
  assert.notEqual(await verifier.verify(token), undefined);

  await store.revoke(id);
  await issueToken(store, { subject: 'other', scope: SCOPE, lifetimeSeconds: HOUR });

  assert.equal(await verifier.verify(token), undefined);
});

// Born failing: a file was read only at the start.
test("a customer's file with keys is read again when it has changed", async () => {
  using opened = open();
  const { directory, store } = opened;
  const file = join(directory, 'jwks.json');
  const pairs = [await generateKeyPair('ES256'), await generateKeyPair('ES256')];
  const write = async (numbers: readonly number[]): Promise<void> => {
    const keys = numbers.map(async (number) => ({
      ...(await exportJWK(pairs[number]?.publicKey ?? assert.fail())),
      ...{ kid: `key-${number}`, alg: 'ES256' },
    }));
    writeFileSync(file, JSON.stringify({ keys: await Promise.all(keys) }));
  };
  const sign = async (number: number): Promise<string> =>
    await new SignJWT({ gitaly_ts: { access: 'read', repositories: ['**'] } })
      .setProtectedHeader({ alg: 'ES256', kid: `key-${number}` })
      .setIssuer('https://id.example.com')
      .setAudience('gitaly-ts')
      .setSubject('ann')
      .setExpirationTime('1h')
      .sign(pairs[number]?.privateKey ?? assert.fail());
  await write([0]);
  const verifier = new TokenVerifier({ store, foreign: { jwks: file, issuer: 'https://id.example.com' } });
  await verifier.prepare();
  const accepted = async (): Promise<boolean[]> =>
    await Promise.all(
      [0, 1].map(async (number) => (await verifier.verify(await sign(number))) !== undefined),
    );

  assert.deepEqual(await accepted(), [true, false]);
  await write([0, 1]);
  assert.deepEqual(await accepted(), [true, true]);
  writeFileSync(file, '{"keys": [');
  assert.deepEqual(await accepted(), [true, true], 'a file that is being written');
  await write([1]);
  assert.deepEqual(await accepted(), [false, true]);
});

test('a new key signs from now on, older tokens stay valid until their key is removed', async () => {
  using opened = open();
  const { store, verifier } = opened;
  const issue = () => issueToken(store, { subject: 'ci', scope: SCOPE, lifetimeSeconds: HOUR });
  const old = await issue();
  const [first = ''] = await store.keyIds();
  const second = await store.addKey();
  const young = await issue();

  assert.equal(JSON.parse(Buffer.from(young.token.split('.')[0] ?? '', 'base64url').toString()).kid, second);
  for (const { token } of [old, young]) assert.notEqual(await verifier.verify(token), undefined);
  await store.removeKey(first);
  assert.equal(await verifier.verify(old.token), undefined);
  assert.notEqual(await verifier.verify(young.token), undefined);
  assert.equal(await store.removeKey('../issued'), false);
});

test("a customer's keys are read from a file or a URL, and only for the customer's issuer", async () => {
  using opened = open();
  const { directory, store } = opened;
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'theirs', alg: 'ES256' }] };
  const file = join(directory, 'jwks.json');
  writeFileSync(file, JSON.stringify(keys));
  const server = createServer((_request, response) => response.end(JSON.stringify(keys)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const sign = (iss: string): Promise<string> =>
    new SignJWT({ gitaly_ts: { access: 'read', repositories: ['**'] } })
      .setProtectedHeader({ alg: 'ES256', kid: 'theirs' })
      .setIssuer(iss)
      .setAudience('gitaly-ts')
      .setSubject('ann')
      .setExpirationTime('1h')
      .sign(privateKey);

  for (const jwks of [file, `http://127.0.0.1:${address.port}/jwks`]) {
    const verifier = new TokenVerifier({ store, foreign: { jwks, issuer: 'https://id.example.com' } });
    await verifier.prepare();
    assert.equal((await verifier.verify(await sign('https://id.example.com')))?.subject, 'ann');
    assert.equal(await verifier.verify(await sign('gitaly-ts')), undefined);
    assert.equal(await verifier.verify(await sign('https://other.example.com')), undefined);
  }
  server.close();
  const plain = new TokenVerifier({ store, foreign: { jwks: 'http://id.example.com/k', issuer: 'x' } });
  await assert.rejects(plain.prepare(), /https only/);
});

// Symptom: while the issuer's server failed, every token was refused and nothing said why.
test('keys that cannot be read are reported with their address, once in a while', async (context) => {
  using opened = open();
  const { store } = opened;
  const responses = [
    { status: 500, body: 'down' },
    { status: 200, body: 'no JSON' },
    { status: 200, body: '{"keys":1}' },
  ];
  let answered = 0;
  const server = createServer((_request, response) => {
    const { body, status } = responses[answered++ % responses.length] ?? assert.fail();
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const jwks = `http://127.0.0.1:${address.port}/jwks`;
  let nowMs = 0;
  replaceMethod(context, performance, 'now', () => nowMs);
  const problems: string[] = [];
  const verifier = new TokenVerifier({
    store,
    foreign: { jwks, issuer: 'https://id.example.com' },
    onProblem: (error) => void problems.push(String(error)),
  });
  await verifier.prepare();
  const { privateKey } = await generateKeyPair('ES256');
  const token = await new SignJWT({ gitaly_ts: { access: 'read', repositories: ['**'] } })
    .setProtectedHeader({ alg: 'ES256', kid: 'theirs' })
    .setIssuer('https://id.example.com')
    .setAudience('gitaly-ts')
    .setSubject('ann')
    .setExpirationTime('1h')
    .sign(privateKey);

  for (const _ of responses) {
    assert.equal(await verifier.verify(token), undefined);
    nowMs += 30_001;
  }
  assert.deepEqual(
    problems.map((problem) => problem.startsWith(`Error: ${jwks}: `)),
    [true, true, true],
    problems.join('\n'),
  );
  await verifier.verify(token);
  await verifier.verify(token);
  assert.equal(problems.length, 4, 'half a minute has not passed');
  await verifier.verify(`${token.slice(0, -3)}AAA`);
  assert.equal(problems.length, 4);
});

/** Starts an issuer whose response can be changed. Times are those of a clock that the test moves. */
async function startIssuer(context: TestContext, store: TokenStore) {
  const response: { status: number; body: string | Buffer; encoding?: string } = { status: 500, body: '' };
  const clock = { nowMs: 0 };
  const startedAtMs = Date.now();
  replaceMethod(context, performance, 'now', () => clock.nowMs);
  replaceMethod(context, Date, 'now', () => startedAtMs + clock.nowMs);
  let requests = 0;
  const server = createServer((_request, reply) => {
    requests++;
    const { body, encoding, status } = response;
    reply.writeHead(status, encoding === undefined ? {} : { 'Content-Encoding': encoding }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const problems: string[] = [];
  const verifier = new TokenVerifier({
    store,
    foreign: { jwks: `http://127.0.0.1:${address.port}/jwks`, issuer: 'https://id.example.com' },
    onProblem: (error) => void problems.push(String(error)),
  });
  const makeKey = async (kid: string) => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const sign = (): Promise<string> =>
      new SignJWT({ gitaly_ts: { access: 'read', repositories: ['**'] } })
        .setProtectedHeader({ alg: 'ES256', kid })
        .setIssuer('https://id.example.com')
        .setAudience('gitaly-ts')
        .setSubject('ann')
        .setExpirationTime('1h')
        .sign(privateKey);
    return { jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' }, token: await sign() };
  };
  const accepts = async (token: string): Promise<boolean> => (await verifier.verify(token)) !== undefined;
  return { accepts, clock, makeKey, problems, requests: () => requests, response };
}

// Each token caused a request to an issuer that was down: clients without rights could send many.
test('an issuer that fails gets one request in five seconds, and its keys rotate', async (context) => {
  using opened = open();
  const { accepts, clock, makeKey, requests, response } = await startIssuer(context, opened.store);
  const [first, second] = [await makeKey('1'), await makeKey('2')];
  const publish = (...keys: { readonly jwk: object }[]): void => {
    Object.assign(response, { status: 200, body: JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }) });
  };

  for (let number = 0; number < 10; number++) assert.equal(await accepts(first.token), false);
  assert.equal(requests(), 1);
  publish(first);
  clock.nowMs += 4999;
  assert.equal(await accepts(first.token), false);
  clock.nowMs += 1;
  assert.equal(await accepts(first.token), true);
  assert.equal(requests(), 2);

  // Unknown keys, while the known ones stay in use.
  clock.nowMs += 30_000;
  response.status = 500;
  for (let number = 0; number < 10; number++) assert.equal(await accepts(second.token), false);
  assert.equal(requests(), 3);
  assert.equal(await accepts(first.token), true);
  publish(second);
  clock.nowMs += 5000;
  assert.equal(await accepts(second.token), true);
  assert.equal(await accepts(first.token), false);
  assert.equal(requests(), 4);
});

test('a set of keys that is long, also when it is unpacked, is refused', async (context) => {
  using opened = open();
  const { accepts, clock, makeKey, problems, response } = await startIssuer(context, opened.store);
  const { jwk, token } = await makeKey('1');
  const keys = JSON.stringify({ keys: [jwk] });
  Object.assign(response, { status: 200, body: gzipSync(keys), encoding: 'gzip' });
  clock.nowMs += 60_000;
  assert.equal(await accepts(token), true);

  Object.assign(response, { body: gzipSync(Buffer.alloc(64 * 1024 * 1024, ' ') + keys) });
  clock.nowMs += 600_001;
  assert.equal(await accepts(token), false);
  assert.match(problems.join(), /the set of keys is longer than 1048576 bytes/);
});

test('rules are written and read, and wrong ones name their part', () => {
  const json = [{ allow: 'refs/heads/**', force: false, delete: false, paths: ['docs/'] }, { deny: '**' }];
  assert.deepEqual(REFERENCE_RULE_KIND.format(REFERENCE_RULE_KIND.parse(json)), json);
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [{}, /must be a list/],
    [[1], /rule 1: it must be an object/],
    [[{ deny: '**' }, { allow: '' }], /rule 2: a pattern has 1 to 256/],
    [[{ allow: 'a', deny: 'b' }], /either "allow" or "deny"/],
    [[{ allow: 'a', force: 'no' }], /"force" must be true or false/],
    [[{ allow: 'a', paths: 'docs' }], /"paths" must be a list/],
    [[{ allow: 'a', path: ['docs'] }], /unknown field "path"/],
    [Array.from({ length: 51 }, () => ({ deny: 'a' })), /more than 50 rules/],
  ];
  for (const [rules, message] of wrong) assert.throws(() => REFERENCE_RULE_KIND.parse(rules), message);
});

// For one odd file among the keys no token was issued, and no key was listed or removed.
test('a key that cannot be read is left aside, and can be removed', async () => {
  using opened = open();
  const { directory, store, verifier } = opened;
  const { id, token } = await issueToken(store, { subject: 'ci', scope: SCOPE, lifetimeSeconds: HOUR });
  const [good] = await store.keyIds();
  mkdirSync(join(directory, 'keys/directory'));
  writeFileSync(join(directory, 'keys/broken'), '{"createdAt');
  writeFileSync(
    join(directory, 'keys/newer'),
    JSON.stringify({ createdAt: Date.now() + 1, key: { kty: 'later', kid: 'newer' } }),
  );

  await store.prepare();
  assert.deepEqual((await store.keyIds()).sort(), ['broken', 'directory', good, 'newer'].sort());
  assert.deepEqual(await verifier.verify(token), { id, subject: 'ci', scope: SCOPE });
  await assert.rejects(
    issueToken(store, { subject: 'ci', scope: SCOPE, lifetimeSeconds: HOUR }),
    /keys\/newer cannot be used to sign/,
  );
  for (const id of ['newer', 'broken', 'directory']) assert.equal(await store.removeKey(id), true);
  assert.deepEqual(await store.keyIds(), [good]);
  assert.notEqual(
    (await issueToken(store, { subject: 'ci', scope: SCOPE, lifetimeSeconds: HOUR })).token,
    '',
  );
});
