/** The server's HTTP/2 with responses that have data, which a gRPC server does not send to h2spec. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { DEFAULT_KEEPALIVE, ServerConnection } from '#rpc/server/connection/server-connection';
import { OF_CONNECTION } from './failing-cases.ts';
import { assertConforms, WITHOUT_H2SPEC } from './h2spec.ts';

test('a connection whose responses have DATA passes h2spec but for the listed cases', {
  skip: WITHOUT_H2SPEC,
}, async () => {
  const connections = new Set<ServerConnection>();
  const listener = createServer((socket) => {
    socket.on('error', () => {}); // h2spec leaves in the middle
    const connection = new ServerConnection(socket, DEFAULT_KEEPALIVE, {
      onStream: (stream) => {
        stream.on('error', () => {}); // as above
        stream.respond({ ':status': 200 });
        stream.end('some data'); // a case needs five bytes
      },
      onClose: () => connections.delete(connection),
    });
    connections.add(connection);
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  // The listener is not on a Unix socket, so that its address is an object.
  const { port } = listener.address() as AddressInfo;
  try {
    await assertConforms(port, OF_CONNECTION);
  } finally {
    listener.close();
    for (const connection of connections) connection.destroy();
  }
});
