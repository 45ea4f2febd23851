import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { onViolation } from '#base/invariant';
import { LinkedFamily } from '#testkit/servers/linked-family';
import { Link, type LinkMessage } from './link.ts';

/** A link, what it sends, and the violations that it reports. */
function observed() {
  const stack = new DisposableStack();
  const sent: LinkMessage[] = [];
  const broken: string[] = [];
  stack.use(onViolation(({ invariant, what }) => broken.push(`${invariant}: ${what}`)));
  const link = new Link((message) => sent.push(message) > 0);
  link.onAsked('name', () => ({ value: 'answer' }));
  return { link, sent, broken, [Symbol.dispose]: () => stack.dispose() };
}

const ask = (id: number): LinkMessage => ({ kind: 'ask', id, topic: 'name', value: undefined });

test('a question with an old number is refused with INTERNAL, and later ones are answered', async () => {
  using peer = observed();

  for (const id of [1, 1, 2]) peer.link.receive(ask(id), undefined);
  await undefined;

  const what = 'a question of another process has an old number';
  assert.deepEqual(peer.broken, [`process-message: ${what}`]);
  const error = { message: `broken invariant: ${what}`, code: 'INTERNAL' };
  assert.deepEqual(
    peer.sent.toSorted((one, other) => (one.kind < other.kind ? -1 : 1)),
    [
      { kind: 'answer', id: 1, value: 'answer', isHeld: false },
      { kind: 'answer', id: 2, value: 'answer', isHeld: false },
      { kind: 'failure', id: 1, error },
    ],
  );
});

test('messages about a question that nobody has asked are reported, and change nothing', async () => {
  using peer = observed();
  const asked = peer.link.ask('other', undefined);
  const odd: LinkMessage[] = [
    { kind: 'answer', id: 2, value: undefined, isHeld: true },
    { kind: 'end', id: 1 },
    { kind: 'note', id: 0, value: undefined },
  ];

  for (const message of odd) peer.link.receive(message, undefined);
  peer.link.receive({ kind: 'answer', id: 1, value: 'here', isHeld: false }, undefined);

  assert.equal((await asked).value, 'here');
  assert.deepEqual(
    peer.broken,
    ['answer', 'end', 'note'].map((kind) => `process-message: there was no question for "${kind}"`),
  );
});

test('messages of an unknown form are reported, and change nothing', async () => {
  using peer = observed();
  const asked = peer.link.ask('other', undefined);
  const forms: unknown[] = [
    ...[undefined, null, 'end', [], {}, { kind: 'other', id: 1 }, { kind: 'end' }, { kind: 'end', id: '1' }],
    { kind: 'answer', id: 1, value: 'no' },
    { kind: 'failure', id: 1, error: { message: 'no', code: 'NONE' } },
  ];

  for (const message of forms) peer.link.receive(message, undefined);
  peer.link.receive({ kind: 'answer', id: 1, value: 'here', isHeld: false }, undefined);

  assert.equal((await asked).value, 'here');
  assert.deepEqual(
    peer.broken,
    forms.map(() => 'process-message: a message of another process has an unknown form'),
  );
});

test('an answer that comes after its question was withdrawn is given back', async () => {
  using peer = observed();
  const answer = Promise.withResolvers<void>();
  let released = 0;
  peer.link.onAsked('turn', async () => {
    await answer.promise;
    return { value: 1, release: () => void released++ };
  });

  peer.link.receive({ kind: 'ask', id: 1, topic: 'turn', value: undefined }, undefined);
  peer.link.receive({ kind: 'end', id: 1 }, undefined);
  answer.resolve();
  await nextTurn();

  assert.deepEqual([released, peer.link.answering, peer.sent], [1, 0, []]);
});

test('questions, answers, withdrawals and ends between two processes break nothing', async () => {
  using peer = observed();
  const family = new LinkedFamily();
  family.supervisor.desk.onAsked('turn', async () => ({ value: 1, release() {} }));
  const worker = family.start();

  const leaving = new AbortController();
  const held = await worker.link.ask('turn', undefined);
  const left = worker.link.ask('turn', undefined, { signal: leaving.signal });
  leaving.abort();
  await assert.rejects(left);
  held.release();
  await worker.link.ask('turn', undefined);
  worker.end();

  assert.deepEqual(peer.broken, []);
});
