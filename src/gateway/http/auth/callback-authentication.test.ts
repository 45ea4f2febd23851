import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { parseRepositoryPath } from '#gateway/repository-path';
import type { AccessRequest } from '../authentication.ts';
import { HttpRefusal } from '../refusal.ts';
import { callbackAuthentication } from './callback-authentication.ts';

interface Site extends AsyncDisposable {
  readonly url: string;
  readonly questions: { readonly headers: IncomingHttpHeaders; readonly body: Record<string, unknown> }[];
}

/** Starts a server that gives the same response to every request. */
async function site(answer: (response: ServerResponse) => void): Promise<Site> {
  const questions: { headers: IncomingHttpHeaders; body: Record<string, unknown> }[] = [];
  const server = createServer(async (request, response) => {
    questions.push({ headers: request.headers, body: JSON.parse(await text(request)) });
    answer(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/auth`,
    questions,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const json = (status: number, value: unknown) => (response: ServerResponse) =>
  void response.writeHead(status).end(typeof value === 'string' ? value : JSON.stringify(value));

function question(authorization?: string, operation: AccessRequest['operation'] = 'write'): AccessRequest {
  const path = parseRepositoryPath('team/app');
  if (typeof path !== 'string') throw new Error(path.refusal);
  return { headers: { authorization }, remoteAddress: '192.0.2.1', scheme: 'https', operation, path };
}

const BASIC = `Basic ${Buffer.from('ann:hunter2').toString('base64')}`;
const ALLOW = { allowed: true, gl_id: 'user-7', gl_username: 'ann' };

test('the URL receives the credentials and the request, and returns the identity', async () => {
  await using asked = await site(json(200, { ...ALLOW, gl_repository: 'project-3' }));
  const authenticator = callbackAuthentication({ url: asked.url, token: 'gateway secret' });

  const admission = await authenticator.authenticate(question(BASIC));
  await authenticator.authenticate(question('Bearer abc', 'read'));
  await authenticator.authenticate(question(undefined, 'read'));

  assert.deepEqual(admission, { glId: 'user-7', username: 'ann', glRepository: 'project-3' });
  const [basic, bearer, nobody] = asked.questions;
  assert.equal(basic?.headers.authorization, 'Bearer gateway secret');
  const rest = { repository: 'team/app.git', remote_address: '192.0.2.1', scheme: 'https' };
  const read = { service: 'git-upload-pack', operation: 'read', ...rest };
  assert.deepEqual(basic?.body, {
    username: 'ann',
    password: 'hunter2',
    service: 'git-receive-pack',
    operation: 'write',
    ...rest,
  });
  assert.deepEqual(bearer?.body, { token: 'abc', ...read });
  assert.deepEqual(nobody?.body, read);
});

const REFUSALS = [
  ['allowed is false', 200, { allowed: false }, BASIC, 403, 'This is not allowed.'],
  ['allowed is false for nobody', 200, { allowed: false }, undefined, 401, /^Sign in/],
  [
    'it names a status and a text',
    200,
    { allowed: false, status: 404, message: 'gone\u001b[31m' },
    BASIC,
    404,
    'gone [31m',
  ],
  ['it answers with a status', 401, 'no', BASIC, 401, /^The name, password or token is wrong/],
  ['it answers with a status and a text', 403, { message: 'archived' }, BASIC, 403, 'archived'],
] as const;

for (const [name, status, body, authorization, expected, words] of REFUSALS) {
  test(`a refusal is passed on: ${name}`, async () => {
    await using asked = await site(json(status, body));

    const decision = await callbackAuthentication({ url: asked.url }).authenticate(question(authorization));

    if (!('answer' in decision)) assert.fail('let in');
    assert.equal(decision.answer.status, expected);
    if (typeof words === 'string') assert.equal(decision.answer.text, words);
    else assert.match(decision.answer.text, words);
    assert.equal('WWW-Authenticate' in (decision.answer.headers ?? {}), expected === 401);
  });
}

const UNCLEAR = [
  ['an error', json(500, 'down')],
  ['a success that is not 200', json(204, '')],
  [
    'a redirect',
    (response: ServerResponse) => void response.writeHead(302, { Location: '/elsewhere' }).end(),
  ],
  ['no JSON', json(200, 'allowed')],
  ['an array', json(200, [ALLOW])],
  ['no decision', json(200, { gl_id: 'user-1' })],
  ['a decision that is no boolean', json(200, { ...ALLOW, allowed: 'true' })],
  ['nobody in particular', json(200, { allowed: true })],
  ['a name with control characters', json(200, { ...ALLOW, gl_id: 'user-1\n' })],
  ['too much', json(200, { ...ALLOW, more: 'x'.repeat(70_000) })],
  ['nothing', () => {}],
  ['a cut connection', (response: ServerResponse) => void response.destroy()],
] as const;

for (const [name, answer] of UNCLEAR) {
  test(`${name} refuses the request, and the error contains no secret`, async () => {
    await using asked = await site(answer);
    const authenticator = callbackAuthentication({ url: asked.url, timeoutMs: 300, cacheMs: 60_000 });

    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(authenticator.authenticate(question(BASIC)), (error) => {
        assert.ok(error instanceof HttpRefusal);
        assert.equal(error.answer.status, 503);
        assert.match(String(error.cause), /calling the authentication URL: /);
        assert.doesNotMatch(`${error.stack} ${error.cause} ${error.answer.text}`, /hunter2/);
        return true;
      });
    }
  });
}

test('an allowing response is cached for the configured time, a refusal is not', async () => {
  let answer: unknown = { allowed: false };
  await using asked = await site((response) => json(200, answer)(response));
  const authenticator = callbackAuthentication({ url: asked.url, cacheMs: 60_000 });
  assert.ok('answer' in (await authenticator.authenticate(question(BASIC))));

  answer = ALLOW;
  for (let attempt = 0; attempt < 3; attempt++) {
    const admission = await authenticator.authenticate(question(BASIC));
    assert.deepEqual(admission, { glId: 'user-7', username: 'ann' });
  }
  assert.equal(asked.questions.length, 2);

  answer = { allowed: false };
  assert.ok('answer' in (await authenticator.authenticate(question(BASIC, 'read'))));
  assert.ok('answer' in (await authenticator.authenticate(question('Bearer hunter2'))));
});

test('requests beyond the limit are refused', async () => {
  await using asked = await site(() => {});
  const authenticator = callbackAuthentication({ url: asked.url, maxPending: 2, timeoutMs: 500 });

  const results = await Promise.allSettled([1, 2, 3].map(() => authenticator.authenticate(question(BASIC))));

  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  );
  assert.equal(asked.questions.length, 2);
});

test('only running calls count towards the limit, and failed ones end, too', async () => {
  await using broken = await site(json(500, ''));
  await using asked = await site(json(200, ALLOW));
  const failing = callbackAuthentication({ url: broken.url, maxPending: 1 });
  const authenticator = callbackAuthentication({ url: asked.url, maxPending: 1 });

  for (let count = 1; count <= 3; count++) {
    await assert.rejects(failing.authenticate(question(BASIC)), HttpRefusal);
    assert.equal('answer' in (await authenticator.authenticate(question(BASIC))), false);
    assert.deepEqual([broken.questions.length, asked.questions.length], [count, count]);
  }
});

for (const url of ['ftp://example.com', 'http://name:word@example.com', 'nonsense']) {
  test(`${url} is not a valid URL`, () => {
    assert.throws(() => callbackAuthentication({ url }), TypeError);
  });
}
