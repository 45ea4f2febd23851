import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { FollowedEvents } from '#events/event-source';
import type { HandlerContext } from '#rpc/server/handler';
import { WatchRequestSchema } from '#wire/gen/gitalyts/events/v1/events_pb';
import { watch } from './watch.ts';

const NEWS_EVERY_MS = 20;
const MAX_NEWS = 500;

// Symptom: a client that watched one repository of a busy server took it for dead after a while,
// and read all events since its cursor again each time, until these were compacted.
test('a watcher gets heartbeats while there are only events that it does not want', async (t) => {
  const journal = new FollowedEvents((position) => ({
    async *read(after) {
      for (let sequence = after + 1; sequence <= position.last; sequence++)
        yield [{ sequence, kind: 'resync', relativePath: 'other.git', timeMs: 0 }];
    },
    compacted: () => assert.fail('nothing was compacted'),
  }));
  const feed = { ending: new AbortController(), journal: () => journal };
  const leaving = new AbortController();
  const filter = { pathPrefix: 'wanted', referencePattern: '' };
  const request = create(WatchRequestSchema, { storageName: 'default', heartbeatSeconds: 1, filter });
  // Nothing else of the context is used.
  const context = { signal: leaving.signal } as HandlerContext;
  const watching = watch(request, context, { feed })[Symbol.asyncIterator]();
  assert.deepEqual((await watching.next()).value, { cursor: 0n });
  const timer = setInterval(() => {
    journal.moveTo({ last: journal.last + 1, oldest: 0 });
    if (journal.last === MAX_NEWS) leaving.abort(new Error('there was no heartbeat'));
  }, NEWS_EVERY_MS);
  t.after(() => clearInterval(timer));

  const { value: first } = await watching.next();
  const { value: second } = await watching.next();

  assert.ok(first !== undefined && second !== undefined && !('length' in first) && !('length' in second));
  assert.ok((first.cursor ?? 0n) > 0n && (second.cursor ?? 0n) > (first.cursor ?? 0n));
  await watching.return?.(undefined);
});
