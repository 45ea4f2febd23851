import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FollowedEvents } from '#events/event-source';
import { until } from '#testkit/until';
import { DeliveryState } from './delivery-state.ts';
import { Webhooks } from './webhooks.ts';

const WEBHOOK = {
  name: 'test',
  url: new URL('http://receiver.example'),
  key: Buffer.from('secret'),
  storages: [],
  filter: { pathPrefix: '', referencePattern: '' },
  mayBePrivate: false,
};

function noEvents(): FollowedEvents {
  return new FollowedEvents(() => ({
    async *read() {},
    compacted: () => assert.fail('a webhook reads no compacted events'),
  }));
}

// Symptom: a webhook was missing in status and metrics while the old process ended, and one disk
// whose events could not be taken over held those of all others up.
test('a webhook is in the status while the process before delivers, and begins by storage', async () => {
  const [one, other] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const texts = new Map<string, string>();
  const written = new Set<string>();
  const onProblem = (error: unknown): never => assert.fail(String(error));
  await using webhooks = Webhooks.start([WEBHOOK], {
    onProblem,
    storages: [
      { storage: 'one', journal: noEvents(), takenOver: one.promise },
      { storage: 'other', journal: noEvents(), takenOver: other.promise },
    ],
    stateOf: (_webhook, { storage }) =>
      new DeliveryState({
        text: texts.get(storage),
        write: async () => void written.add(storage),
        onProblem,
      }),
  });
  texts.set('one', JSON.stringify({ cursor: 0, waiting: [1, 2, 3], deadLetters: [] }));

  const waiting = webhooks.status().map((status) => [status.storage, status.waiting]);
  other.resolve();
  await until(() => written.has('other'), 'the webhook begins');

  assert.deepEqual(waiting, [
    ['one', 3],
    ['other', 0],
  ]);
  assert.ok(!written.has('one'));
});
