import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WRONG_CREDENTIALS } from '../auth/challenge.ts';
import type { AccessRequest, Authenticator } from '../authentication.ts';
import { NOT_FOUND } from '../failure.ts';
import { EventAccess } from './event-access.ts';

const REMEMBERED_MS = 1000;
const READER = { headers: { authorization: 'x' }, peer: { address: '192.0.2.1', scheme: 'https' } } as const;

/** An authenticator that records what it is asked; `decide` answers. */
function asking(decide: (request: AccessRequest) => Awaited<ReturnType<Authenticator['authenticate']>>) {
  const asked: AccessRequest[] = [];
  const authenticator: Authenticator = {
    authenticate: async (request) => {
      asked.push(request);
      return decide(request);
    },
  };
  return { access: new EventAccess(authenticator, READER), asked };
}

const ANN = { glId: 'user-1', username: 'ann' };

test('the right to read is asked once a second for each repository', async (context) => {
  let nowMs = 0;
  context.mock.method(performance, 'now', () => nowMs);
  const { access, asked } = asking(({ path }) => (path === 'a.git' ? ANN : { answer: NOT_FOUND }));

  assert.deepEqual([await access.mayRead('a.git'), await access.mayRead('b.git')], [true, false]);
  assert.deepEqual([await access.mayRead('a.git'), await access.mayRead('b.git')], [true, false]);
  assert.equal(asked.length, 2, 'refusals are remembered, too');
  nowMs = REMEMBERED_MS + 1;
  assert.equal(await access.mayRead('a.git'), true);

  assert.equal(asked.length, 3);
  const { address, scheme } = READER.peer;
  const common = { headers: READER.headers, remoteAddress: address, scheme, operation: 'read' };
  assert.deepEqual(asked[0], { ...common, path: 'a.git' });
});

test('a path that no repository can have is not asked for', async () => {
  const { access, asked } = asking(() => ANN);

  for (const path of ['', '../a.git', 'a//b.git']) assert.equal(await access.mayRead(path), false, path);

  assert.deepEqual(asked, []);
});

test('wrong credentials are an error at once and later, a missing right is none', async () => {
  const wrong = asking(() => ({ answer: WRONG_CREDENTIALS }));
  const refusal = { name: 'Refusal', message: WRONG_CREDENTIALS.text };
  await assert.rejects(wrong.access.checkCredentials(), refusal);
  await assert.rejects(wrong.access.mayRead('a.git'), refusal);

  const missing = asking(() => ({ answer: NOT_FOUND }));
  await missing.access.checkCredentials();
});
