import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import type { ClientSlot } from '#gateway/slots';
import { type ScriptedCall, type ScriptedEvents, scriptedEvents } from '#testkit/feed/scripted-events';
import { steady, until } from '#testkit/until';
import {
  type EventSchema,
  Event_Kind as Kind,
  type WatchResponse,
  WatchResponseSchema,
} from '#wire/gen/gitalyts/events/v1/events_pb';
import { sendAnswer } from '../answer.ts';
import { SIGN_IN, WRONG_CREDENTIALS } from '../auth/challenge.ts';
import type { Authenticator } from '../authentication.ts';
import { NOT_FOUND } from '../failure.ts';
import { HttpRefusal } from '../refusal.ts';
import { EventStreams } from './event-streams.ts';

type EventInit = MessageInitShape<typeof EventSchema>;

interface Opened {
  readonly streams: EventStreams;
  readonly feed: ScriptedEvents;
  /** Errors that a stream ended with, except refusals. */
  readonly errors: unknown[];
  readonly releases: () => number;
  get(query?: string, headers?: Record<string, string>): Promise<Response>;
}

interface Options {
  readonly authenticator?: Authenticator;
  readonly slot?: ClientSlot;
}

/** Starts a server whose only page is the stream of a feed with scripted answers. */
async function open(context: TestContext, call: ScriptedCall, options: Options = {}): Promise<Opened> {
  const { authenticator, slot } = options;
  const feed = scriptedEvents(call);
  const errors: unknown[] = [];
  let releases = 0;
  const held = { [Symbol.dispose]: () => void releases++ };
  const slots = { take: async () => slot ?? held };
  const { connection } = feed;
  const streams = new EventStreams({ storage: 'default', connection, authenticator, slots });
  const server = createServer(async (request, response) => {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const query = new URL(request.url ?? '', 'http://localhost').search.slice(1);
    const peer = { address: '192.0.2.1', scheme: 'http' } as const;
    try {
      await streams.serve({ request, response, query, peer, signal: gone.signal });
    } catch (error) {
      if (!(error instanceof HttpRefusal)) errors.push(error);
      const answer = error instanceof HttpRefusal ? error.answer : { status: 500, text: String(error) };
      if (!response.destroyed) sendAnswer(response, answer);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  // A TCP server that listens has an address of this shape.
  const { port } = server.address() as AddressInfo;
  const get: Opened['get'] = (query = '', headers = {}) =>
    fetch(`http://127.0.0.1:${port}/?${query}`, { headers });
  return { streams, feed, errors, releases: () => releases, get };
}

const message = (cursor: bigint, ...events: EventInit[]): WatchResponse =>
  create(WatchResponseSchema, { cursor, events });
const lost = new GitalyError('UNAVAILABLE', 'the server stops');

/** Everybody with these credentials may read what begins with `team/`. */
const TEAM: Authenticator = {
  authenticate: async ({ headers, path }) => {
    if (headers.authorization !== 'team') return { answer: WRONG_CREDENTIALS };
    return path.startsWith('team/') ? { glId: 'user-1', username: 'ann' } : { answer: NOT_FOUND };
  },
};
const SIGNED_IN = { authorization: 'team' };

/** Returns the data of the events in a stream. */
const dataOf = (text: string): Record<string, unknown>[] =>
  text.split('\n').flatMap((line) => (line.startsWith('data: ') ? [JSON.parse(line.slice(6))] : []));

test('a stream has the headers and blocks of server-sent events', async (context) => {
  const time = { seconds: 1_600_000_000n };
  const fields = { storageName: 'default', relativePath: 'a.git', time };
  const { get, releases } = await open(context, [
    message(8n, { ...fields, sequence: 7n, kind: Kind.CREATED }),
    message(9n),
    lost,
  ]);

  const response = await get();

  const { headers } = response;
  assert.equal(headers.get('content-type'), 'text/event-stream');
  assert.equal(headers.get('cache-control'), 'no-store');
  assert.equal(headers.get('x-accel-buffering'), 'no');
  const [retry, event, cursor, ...rest] = (await response.text()).split('\n\n');
  assert.deepEqual([retry, cursor, rest], ['retry: 2000', 'id: 8', ['id: 9', '']]);
  assert.match(event ?? '', /^id: 7\nevent: created\ndata: \{.*\}$/);
  assert.equal(releases(), 1);
});

test('events without a cursor come again, so their id is 0', async (context) => {
  const fields = { storageName: 'default', relativePath: 'a.git' };
  const { get } = await open(context, [message(0n, { ...fields, sequence: 7n, kind: Kind.COMPACTED }), lost]);

  assert.match(await (await get()).text(), /\n\nid: 0\nevent: compacted\ndata: [^\n]*\n\nid: 0\n\n$/);
});

test("the id of an event, the browser's own first, and the filter reach the feed", async (context) => {
  const { feed, get } = await open(context, [message(9n), lost]);
  const latest = () => {
    const { after, filter, fromNow, heartbeatSeconds } = feed.requests.at(-1) ?? {};
    return [fromNow ? 'now' : after, filter?.pathPrefix, filter?.referencePattern, heartbeatSeconds];
  };

  await get();
  assert.deepEqual(latest(), [0n, '', '', 15]);
  await get('after=5&path=team/&reference=refs/heads/*');
  assert.deepEqual(latest(), [5n, 'team/', 'refs/heads/*', 15]);
  await get('after=5', { 'last-event-id': '123456789012345' });
  assert.deepEqual(latest(), [123_456_789_012_345n, '', '', 15]);
  await get('after=now');
  assert.deepEqual(latest(), ['now', '', '', 15]);
  assert.equal((await get('after=1234567890123456')).status, 400);
  assert.equal(feed.requests.length, 4);
});

test('the errors of a feed become answers, others are passed on', async (context) => {
  for (const [error, status, text] of [
    [new GitalyError('OUT_OF_RANGE', 'compacted'), 410, /Begin again with after=0/],
    [new GitalyError('UNIMPLEMENTED', 'no feed'), 404, /keeps no change feed/],
    [lost, 500, /the server stops/],
    [new TypeError('a bug'), 500, /a bug/],
  ] as const) {
    const { errors, get, releases } = await open(context, [error]);

    const response = await get();

    assert.deepEqual([response.status, releases()], [status, 1]);
    assert.match(await response.text(), text);
    assert.deepEqual(errors, status === 500 ? [error] : []);
  }
});

test('a reader sees what it may read with git, and events of all repositories', async (context) => {
  const to = (relativePath: string, previousRelativePath = ''): EventInit => ({
    ...{ sequence: 1n, storageName: 'default', kind: previousRelativePath ? Kind.RENAMED : Kind.CREATED },
    ...{ relativePath, previousRelativePath },
  });
  const call = [
    message(9n, to('team/a.git'), to('secret.git'), to(''), to('team/../secret.git')),
    message(9n, to('team/b.git', 'team/old.git'), to('team/c.git', 'secret.git')),
    lost,
  ];
  const { get } = await open(context, call, { authenticator: TEAM });

  const events = dataOf(await (await get('', SIGNED_IN)).text());

  assert.deepEqual(
    events.map(({ repository, previous_repository }) => [repository, previous_repository]),
    [
      ['team/a.git', undefined],
      ['', undefined],
      ['team/b.git', 'team/old.git'],
      ['team/c.git', undefined],
    ],
  );
});

test('without credentials and with wrong ones nothing is asked of the feed', async (context) => {
  const { feed, get, releases } = await open(context, [message(9n), lost], { authenticator: TEAM });

  const [none, wrong] = [await get(), await get('', { authorization: 'other' })];

  assert.deepEqual([none.status, await none.text()], [SIGN_IN.status, `${SIGN_IN.text}\n`]);
  assert.deepEqual([wrong.status, await wrong.text()], [401, `${WRONG_CREDENTIALS.text}\n`]);
  assert.deepEqual([feed.requests.length, releases()], [0, 1]);
});

test('a reader beyond the limit of streams is told to come back', async (context) => {
  for (const slot of ['client', 'total'] as const) {
    const { feed, get } = await open(context, [message(9n), lost], { slot });
    const response = await get();
    assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '1']);
    assert.equal(feed.requests.length, 0);
  }
});

test('streams that end say so: before the first byte with 503, else with their end', async (context) => {
  const waiting = await open(context, ['silent']);
  const running = await open(context, [message(9n), 'silent']);
  const early = waiting.get();
  await until(() => waiting.feed.requests.length === 1);
  const late = await running.get();

  waiting.streams.end();
  running.streams.end();

  assert.equal((await early).status, 503);
  assert.equal(await late.text(), 'retry: 2000\n\nid: 9\n\n');
  assert.equal((await running.get()).status, 503);
  assert.equal(running.feed.requests.length, 1);
  assert.deepEqual([...waiting.errors, ...running.errors], []);
});

test('a reader that leaves ends its call and gives its slot back', async (context) => {
  const { errors, get, releases } = await open(context, [message(9n), 'silent']);
  const response = await get();

  await response.body?.cancel();

  await until(() => releases() === 1);
  assert.deepEqual(errors, []);
});

test('a reader that does not read stops the feed, and gets all of it later', async (context) => {
  const reference = Buffer.alloc(100_000, 'x');
  const wide = message(1n, { storageName: 'default', relativePath: 'a.git', sequence: 1n, reference });
  let taken = 0;
  const many = function* () {
    for (; taken < 1000; taken++) yield wide;
    yield lost;
  };
  const { get } = await open(context, many());

  const response = await get();
  await steady(() => taken);

  assert.ok(taken < 500, `${taken} messages of 100 kB were taken`);
  let bytes = 0;
  for await (const chunk of response.body ?? []) bytes += chunk.byteLength;
  assert.ok(bytes > 1000 * 100_000);
});
