import assert from 'node:assert/strict';
import { type Duplex, duplexPair } from 'node:stream';
import { test } from 'node:test';
import type { ClientSession } from '#rpc/common/grpc/client-session';
import type { OpenSession } from '#rpc/common/grpc/grpc-channel';
import { NodeSession } from '#rpc/common/grpc/node-session';
import { FrameType } from '#rpc/common/http2/frame';
import { FrameSession } from '#rpc/common/http2/frame-session';
import { frameBytes, TEST_HEADERS } from '#testkit/servers/raw-http2-server';
import { readSessions } from './gitaly-node.ts';

/** Opens a session with a server that ends it. */
async function ended(open: OpenSession, end: (server: Duplex) => void): Promise<ClientSession> {
  const [client, server] = duplexPair();
  server.resume().on('end', () => server.end());
  const session = open(client, TEST_HEADERS);
  end(server);
  await session.closed;
  return session;
}

test('a node that violates our HTTP/2 gets sessions of node:http2 from then on', async () => {
  const open = readSessions();
  const leave = (server: Duplex): void => void server.end();
  const violate = (server: Duplex): void =>
    void server.write(frameBytes({ type: FrameType.PING, payload: Buffer.alloc(8) }));

  const sessions = [await ended(open, leave), await ended(open, violate), await ended(open, leave)];

  assert.deepEqual(
    sessions.map((session) => session.constructor),
    [FrameSession, FrameSession, NodeSession],
  );
});
