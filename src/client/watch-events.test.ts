import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, type StatusCode } from '#base/gitaly-error';
import { scriptedEvents } from '#testkit/feed/scripted-events';
import { never, until } from '#testkit/until';
import {
  EventSchema,
  Event_Kind as Kind,
  type WatchRequest,
  type WatchResponse,
  WatchResponseSchema,
} from '#wire/gen/gitalyts/events/v1/events_pb';
import type { Connection } from './connection.ts';
import { dial } from './dial.ts';
import { decodeEvent, type RepositoryEvent, type WatchOptions, watchEvents } from './watch-events.ts';

const FIRST_PAUSE_MS = 100;
/** Timers may fire slightly early when another clock measures them. */
const ROUNDED_MS = 2;
const STORAGE = { storageName: 'default' };
const lost = (code: StatusCode = 'UNAVAILABLE') => new GitalyError(code, 'lost');
const message = (cursor: bigint, ...sequences: bigint[]): WatchResponse =>
  create(WatchResponseSchema, {
    cursor,
    events: sequences.map((sequence) => ({ sequence, kind: Kind.RESYNC })),
  });

/** Collects events until the test ends. */
function collecting(context: TestContext, connection: Connection, options: Partial<WatchOptions> = {}) {
  const ending = new AbortController();
  const events: RepositoryEvent[] = [];
  const reading = (async () => {
    for await (const event of watchEvents(connection, { ...STORAGE, signal: ending.signal, ...options }))
      events.push(event);
  })();
  const stop = async (): Promise<void> => {
    ending.abort();
    await reading;
  };
  context.after(stop);
  return { events, stop };
}

/** Returns the cursors at which the calls began. */
const begins = (requests: readonly WatchRequest[]) =>
  requests.map(({ after, fromNow }) => (fromNow ? 'now' : after));

test('a call asks for everything unless options say less', async (context) => {
  const { connection, requests } = scriptedEvents(['silent']);
  const full = scriptedEvents(['silent']);
  const wishes = { pathPrefix: 'group/', referencePattern: 'refs/heads/*' };

  collecting(context, connection);
  collecting(context, full.connection, { ...wishes, after: 5n, heartbeatSeconds: 7 });
  await until(() => requests.length + full.requests.length === 2);

  const plain = [...requests, ...full.requests].map(({ filter, heartbeatSeconds, storageName }) => ({
    ...{ heartbeatSeconds, storageName },
    ...{ path: filter?.pathPrefix, reference: filter?.referencePattern },
  }));
  assert.deepEqual(plain, [
    { heartbeatSeconds: 30, storageName: 'default', path: '', reference: '' },
    { heartbeatSeconds: 7, storageName: 'default', path: 'group/', reference: 'refs/heads/*' },
  ]);
  assert.deepEqual([begins(requests), begins(full.requests)], [[0n], [5n]]);
});

// It tried again without end, and kept the process running.
test('a connection that its owner closes ends the loop', async () => {
  await using connection = await dial('unix:/no/such/socket');
  const next = watchEvents(connection, STORAGE).next();
  next.catch(() => {});
  await until(() => connection.state === 'transient_failure');

  await connection.close();

  await assert.rejects(next, { code: 'CANCELLED', message: 'grpc: the client connection is closing' });
});

test('a lost connection continues behind the last event', async (context) => {
  const { connection, requests } = scriptedEvents(
    [message(9n, 7n, 8n), lost()],
    [message(20n), lost('RESOURCE_EXHAUSTED')],
    ['silent'],
  );

  const { events } = collecting(context, connection);
  await until(() => requests.length === 3);

  assert.deepEqual(begins(requests), [0n, 9n, 20n]);
  assert.deepEqual(
    events.map(({ sequence }) => sequence),
    [7n, 8n],
  );
});

test('from now on means from the first message on, also when the connection was lost', async (context) => {
  const { connection, requests } = scriptedEvents([lost()], [message(4n), lost()], ['silent']);

  collecting(context, connection, { fromNow: true, after: 1n });
  await until(() => requests.length === 3);

  assert.deepEqual(begins(requests), ['now', 'now', 4n]);
});

test('the cursor is reported without events, too, but not among compacted ones', async (context) => {
  const cursors: bigint[] = [];
  const { connection } = scriptedEvents([
    message(0n, 3n, 4n),
    message(4n),
    message(9n, 7n, 8n),
    message(12n),
    'silent',
  ]);

  collecting(context, connection, { onCursor: (cursor) => cursors.push(cursor) });
  await until(() => cursors.length === 3);

  assert.deepEqual(cursors, [4n, 9n, 12n]);
});

test('compacted events come again from the start, also if they were replaced', async (context) => {
  const { connection, requests } = scriptedEvents(
    [message(0n, 7n), lost()],
    [lost('OUT_OF_RANGE')],
    ['silent'],
  );

  collecting(context, connection, { after: 3n });
  await until(() => requests.length === 3);

  assert.deepEqual(begins(requests), [3n, 0n, 0n]);
});

test('an error that another attempt would not change is thrown', async () => {
  const permanent = [lost('OUT_OF_RANGE'), lost('UNIMPLEMENTED'), new TypeError('a bug')];
  for (const error of permanent) {
    const { connection, requests } = scriptedEvents([error]);

    await assert.rejects(watchEvents(connection, { ...STORAGE, after: 5n }).next(), error);
    assert.equal(requests.length, 1);
  }
});

test('an abort ends the loop without an error, in a call and in a pause', async (context) => {
  const running = scriptedEvents(['silent']);
  const pausing = scriptedEvents([lost()]);
  const [first, second] = [collecting(context, running.connection), collecting(context, pausing.connection)];
  await until(() => running.requests.length > 0 && pausing.requests.length > 0);

  await Promise.all([first.stop(), second.stop()]);

  const before = pausing.requests.length;
  const late = watchEvents(pausing.connection, { ...STORAGE, signal: AbortSignal.abort() });
  assert.deepEqual(await late.next(), { done: true, value: undefined });
  assert.equal(pausing.requests.length, before);
});

test('pauses double, and a message makes them short again', async (context) => {
  const failing = scriptedEvents([lost()], [lost()], [lost()], [lost()], ['silent']);
  const answering = scriptedEvents([lost()], [lost()], [lost()], [message(1n), lost()], ['silent']);

  collecting(context, failing.connection);
  collecting(context, answering.connection);
  await until(() => failing.requests.length === 5);

  const { startsMs } = failing;
  for (const [index, endMs] of startsMs.slice(1).entries()) {
    const pausedMs = endMs - (startsMs[index] ?? Number.NaN);
    assert.ok(pausedMs >= 2 ** index * FIRST_PAUSE_MS - ROUNDED_MS, `pause ${index}: ${pausedMs} ms`);
  }
  // It began later, so without the message its fifth call would be later, too.
  assert.ok(Number(answering.startsMs[4]) < Number(startsMs[4]));
});

test('a call that is silent for three heartbeats is made anew', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { timers } = context.mock;
  const { connection, requests } = scriptedEvents([message(1n), 'silent'], ['silent']);
  collecting(context, connection, { heartbeatSeconds: 2 });
  await until(() => requests.length === 1);

  timers.tick(5999);
  await never(() => requests.length > 1);
  timers.tick(1);

  await until(() => requests.length === 2);
  assert.deepEqual(begins(requests), [0n, 1n]);
});

test('the fields of an event that it does not have are undefined', () => {
  const full: MessageInitShape<typeof EventSchema> = {
    ...{ kind: Kind.RENAMED, sequence: 3n, storageName: 'default', relativePath: 'a.git' },
    ...{ time: { seconds: 1_600_000_000n, nanos: 250_000_000 }, reference: Buffer.from('refs/heads/a') },
    ...{ oldValue: '1', newValue: '2', previousRelativePath: 'b.git' },
    user: { id: 'user-1', name: 'ann', credentialKind: 'token', credentialName: 'ci' },
  };

  assert.deepEqual(decodeEvent(create(EventSchema, full)), {
    ...{ kind: 'renamed', sequence: 3n, storageName: 'default', relativePath: 'a.git' },
    ...{ time: new Date(1_600_000_000_250), reference: Buffer.from('refs/heads/a') },
    ...{ oldValue: '1', newValue: '2', previousPath: 'b.git' },
    user: { id: 'user-1', name: 'ann', credential: { kind: 'token', name: 'ci' } },
  });
  const { time, reference, oldValue, newValue, previousPath, user } = decodeEvent(create(EventSchema, {}));
  assert.deepEqual(time, new Date(0));
  assert.deepEqual([reference, oldValue, newValue, previousPath, user], Array(5).fill(undefined));
});
