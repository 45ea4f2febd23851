import assert from 'node:assert/strict';
import { getPackedSettings, getUnpackedSettings } from 'node:http2';
import { type Duplex, duplexPair } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { settle } from '#testkit/clients/raw-yamux-peer';
import { Arrivals } from '../connection/arrivals.ts';
import { AuthorityRewriter } from './authority-rewriter.ts';
import { awaitFirstRequest } from './await-first-request.ts';
import { FrameScanner } from './frame-scanner.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SETTINGS = frame(4, 0, getPackedSettings({ maxConcurrentStreams: 7 }));
const ACK = frame(4, 1);
/** A request whose headers have no authority, and requests whose authority is a literal. */
const BARE = frame(1, 4, Buffer.from('8386', 'hex'));
const TO_LOCALHOST = requestTo('localhost');
const TO_PATH = requestTo('unix:/x');

function frame(type: number, flags: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.from([0, 0, 0, type, flags, 0, 0, 0, type === 1 ? 1 : 0]);
  header.writeUIntBE(payload.length, 0, 3);
  return Buffer.concat([header, payload]);
}

function requestTo(authority: string): Buffer {
  return frame(1, 4, Buffer.concat([Buffer.from([0x83, 0x86, 1, authority.length]), Buffer.from(authority)]));
}

/** Begins to wait, for a client that sends these bytes. */
function begin(sent: readonly Uint8Array[], { arrivals }: { arrivals?: Arrivals } = {}) {
  const [client, connection] = duplexPair();
  const limit = new AbortController();
  let decided: 'waiting' | 'decided' | 'failed' = 'waiting';
  client.write(Buffer.concat(sent));
  const result = awaitFirstRequest(connection, { signal: limit.signal, arrivals });
  result.then(
    () => {
      decided = 'decided';
    },
    () => {
      decided = 'failed';
    },
  );
  return { client, connection, limit, result, state: () => decided };
}

/** Returns what is there to read, in however many pieces. */
function received(from: Duplex): Buffer {
  const pieces: Buffer[] = [];
  for (let piece = from.read(); piece !== null; piece = from.read()) pieces.push(piece);
  return Buffer.concat(pieces);
}

for (const [name, sent] of [
  ['says something else', [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')]],
  ['differs in the last byte of the preface', [PREFACE.subarray(0, 23), Buffer.of(0), SETTINGS]],
] as const) {
  test(`a client that ${name} gets no settings, and its bytes stay`, async () => {
    const { client, connection, result } = begin(sent);

    assert.equal(await result, connection);

    assert.deepEqual(received(connection), Buffer.concat(sent));
    assert.equal(client.read(), null);
  });
}

test('the settings are those of the server, and the bytes of the client stay but its first ACK', async () => {
  const late = Buffer.from('late');
  const sent = [PREFACE, SETTINGS, ACK, ACK, TO_LOCALHOST, late];
  const { client, connection, result } = begin(sent);

  assert.equal(await result, connection);

  const [settings] = new FrameScanner().add(received(client));
  assert.ok(settings !== undefined);
  assert.deepEqual([settings.type, settings.flags], [4, 0]);
  const { maxConcurrentStreams, maxHeaderListSize, enablePush, initialWindowSize } = getUnpackedSettings(
    settings.bytes.subarray(9),
  );
  assert.deepEqual(
    { maxConcurrentStreams, maxHeaderListSize, enablePush, initialWindowSize },
    {
      maxConcurrentStreams: 4096,
      maxHeaderListSize: 147_456,
      enablePush: false,
      initialWindowSize: 1_048_576,
    },
  );
  assert.deepEqual(received(connection), Buffer.concat([PREFACE, SETTINGS, ACK, TO_LOCALHOST, late]));
});

for (const [name, request, isRewritten] of [
  ['localhost', TO_LOCALHOST, false],
  ['a path', TO_PATH, true],
  ['nothing', BARE, false],
] as const) {
  test(`a first request that names ${name} is ${isRewritten ? 'rewritten' : 'left alone'}`, async () => {
    const { connection, result } = begin([PREFACE, SETTINGS, ACK, request, TO_PATH]);

    const served = await result;

    assert.equal(served instanceof AuthorityRewriter, isRewritten);
    assert.equal(served === connection, !isRewritten);
    served?.destroy();
  });
}

test('the order of request and ACK does not matter, but both are awaited', async () => {
  const { client, connection, result, state } = begin([PREFACE, SETTINGS, TO_LOCALHOST]);
  await settle();
  assert.equal(state(), 'waiting');

  client.write(ACK);

  assert.equal(await result, connection);
  assert.deepEqual(received(connection), Buffer.concat([PREFACE, SETTINGS, TO_LOCALHOST]));
});

test('a ping before the first request is answered, and its answer is no ping', async () => {
  const payload = Buffer.from('pingpong');
  const { client, connection, result } = begin([
    PREFACE,
    SETTINGS,
    frame(6, 0, payload),
    frame(6, 1, payload),
  ]);
  await settle();

  const frames = new FrameScanner().add(received(client));

  assert.deepEqual(
    frames.map(({ type, flags }) => [type, flags]),
    [
      [4, 0],
      [6, 1],
    ],
  );
  assert.deepEqual(frames[1]?.bytes.subarray(9), payload);
  client.write(Buffer.concat([ACK, BARE]));
  await result;
  assert.deepEqual(received(connection), Buffer.concat([PREFACE, SETTINGS, frame(6, 1, payload), BARE]));
});

for (const [name, one, most] of [
  ['1000 pings', frame(6, 0, Buffer.alloc(8)), 1000],
  ['256 KiB', frame(0xbb, 0, Buffer.alloc(1023 - 9)), 256],
] as const) {
  test(`a client that sends more than ${name} before a request is passed on`, async () => {
    const { client, result, state } = begin([PREFACE, SETTINGS]);
    client.resume();
    client.write(Buffer.concat(Array.from({ length: most }, () => one)));
    await settle();
    assert.equal(state(), 'waiting');

    client.write(one);

    assert.ok((await result) instanceof AuthorityRewriter);
  });
}

for (const [name, sent] of [
  ['a window before the settings', frame(8, 0, Buffer.of(0, 0, 0, 1))],
  ['data before a request', Buffer.concat([SETTINGS, frame(0, 0, Buffer.alloc(1))])],
] as const) {
  test(`${name} is left to node:http2, which ends the connection`, async () => {
    const { connection, result } = begin([PREFACE, sent]);

    assert.equal(await result, connection);
  });
}

test('what all clients send before their requests has a limit', async () => {
  const arrivals = new Arrivals();
  const [near, far] = duplexPair();
  far.write(Buffer.concat([PREFACE, SETTINGS]));
  far.resume();
  const signal = new AbortController().signal;
  const result = awaitFirstRequest(near, { signal, arrivals });
  await settle();
  assert.equal(arrivals.keptBytes, SETTINGS.length);

  arrivals.keptBytes += 64 << 20; // of others
  far.write(frame(8, 0, Buffer.of(0, 0, 0, 1)));

  assert.ok((await result) instanceof AuthorityRewriter);
  assert.equal(arrivals.keptBytes, 64 << 20);
});

// While many others were waited for, connections of good clients ended with a violation of the
// protocol: they acknowledged two settings, and `node:http2` had sent one.
test('the first ACK of a client that is passed on early is left out', async () => {
  const arrivals = new Arrivals();
  arrivals.keptBytes = 64 << 20; // of others
  const { client, result } = begin([PREFACE, SETTINGS, TO_LOCALHOST], { arrivals });

  const served = await result;
  client.end(Buffer.concat([ACK, ACK]));

  assert.ok(served !== undefined);
  assert.deepEqual(await buffer(served), Buffer.concat([PREFACE, SETTINGS, TO_LOCALHOST, ACK]));
});

test('a preface in pieces is one, and a part of one is left to node:http2', async () => {
  const whole = begin([PREFACE.subarray(0, 12)]);
  const part = begin([PREFACE.subarray(0, 12)]);
  await settle();

  whole.client.write(Buffer.concat([PREFACE.subarray(12), SETTINGS, ACK, BARE]));
  part.client.end();

  assert.equal(await whole.result, whole.connection);
  assert.deepEqual(received(whole.connection), Buffer.concat([PREFACE, SETTINGS, BARE]));
  assert.equal(await part.result, part.connection);
  assert.deepEqual(received(part.connection), PREFACE.subarray(0, 12));
  assert.equal(part.client.read(), null);
});

test('frames that make no sense are left to node:http2, every byte of them', async () => {
  const nonsense = Buffer.from('ffffff00000000000012345678', 'hex');
  const { client, connection, result } = begin([PREFACE, SETTINGS, nonsense.subarray(0, 5)]);
  await settle();

  client.write(nonsense.subarray(5));

  assert.equal(await result, connection);
  assert.deepEqual(received(connection), Buffer.concat([PREFACE, SETTINGS, nonsense]));
});

test('a client that ends without a request is gone', async () => {
  for (const sent of [[PREFACE], [PREFACE, SETTINGS, ACK]]) {
    const { client, result } = begin(sent);
    client.end();

    assert.equal(await result, undefined);
  }
});

test('the error of a connection, and its end, are those of the wait', async () => {
  const { connection, result } = begin([PREFACE, SETTINGS, ACK]);
  await settle();

  connection.destroy(new Error('reset'));

  await assert.rejects(result, { message: 'reset' });
});

test('the time limit of the handshake is for the preface and the settings', async () => {
  for (const sent of [[PREFACE.subarray(0, 20)], [PREFACE]]) {
    const { limit, result } = begin(sent);
    await settle();

    limit.abort(new Error('too late'));

    await assert.rejects(result, { message: 'too late' });
  }
});

// A client that waited for the acknowledgement of its settings waited for ever.
for (const [name, acks, waitMs] of [
  ['acknowledges the settings', [ACK], 50],
  ['does not acknowledge the settings', [], 200],
] as const) {
  test(`a client that ${name} and sends no request is passed on after ${waitMs} ms`, async ({ mock }) => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const { client, connection, result, state } = begin([PREFACE, SETTINGS, ...acks]);
    await settle();

    mock.timers.tick(waitMs - 1);
    await settle();
    assert.equal(state(), 'waiting');
    mock.timers.tick(1);

    const served = await result;
    // The first request may have any authority.
    assert.ok(served instanceof AuthorityRewriter);
    client.write(Buffer.concat([ACK, TO_PATH]));
    client.end();
    const [left, ...others] = new FrameScanner().add((await buffer(served)).subarray(PREFACE.length));
    assert.deepEqual(left?.bytes, SETTINGS);
    const kept = acks.length === 0 ? [1] : [4, 1]; // the first acknowledgement is that of our settings
    assert.deepEqual(
      others.map(({ type }) => type),
      kept,
    );
    assert.ok(!(others.at(-1)?.bytes ?? TO_PATH).includes('unix:/x'));
    connection.destroy();
  });
}

/** A request with this `authorization`, as a literal with an indexed name or with its own. */
const authorized = (name: Buffer, value: string): Buffer =>
  frame(1, 4, Buffer.concat([Buffer.of(0x83, 0x86), name, Buffer.of(value.length), Buffer.from(value)]));
const INDEXED = Buffer.of(0x0f, 23 - 15);
const NAMED = Buffer.concat([Buffer.of(0, 13), Buffer.from('authorization')]);

for (const [name, request, authorization, isNative] of [
  ['with a valid token', authorized(INDEXED, 'good'), 'good', true],
  ['with a valid token behind its name', authorized(NAMED, 'good'), 'good', true],
  ['with another token', authorized(INDEXED, 'bad'), 'bad', false],
  ['without a token', BARE, undefined, false],
] as const) {
  test(`headers are ${isNative ? 'not ' : ''}measured after a first request ${name}`, async () => {
    const [client, connection] = duplexPair();
    client.resume();
    client.write(Buffer.concat([PREFACE, SETTINGS, ACK, request]));
    const asked: (string | undefined)[] = [];
    const isTrusted = (given: string | undefined): boolean => {
      asked.push(given);
      return given === 'good';
    };

    const served = await awaitFirstRequest(connection, { signal: new AbortController().signal, isTrusted });

    assert.equal(served === connection, isNative);
    assert.deepEqual(asked, [authorization]);
    connection.destroy();
  });
}

test('headers of a client that is left to node:http2 without a request are measured', async () => {
  const [client, connection] = duplexPair();
  client.resume();
  client.write(Buffer.concat([PREFACE, SETTINGS, frame(0, 0, Buffer.alloc(1))]));

  const served = await awaitFirstRequest(connection, {
    signal: new AbortController().signal,
    isTrusted: () => false,
  });

  assert.ok(served instanceof AuthorityRewriter);
  connection.destroy();
});
