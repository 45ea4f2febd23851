import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants, createServer, type Http2Session, type ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { all } from '#testkit/clients/in-process-rpc';
import { BlobService, GetBlobResponseSchema } from '#wire/gen/blob_pb';
import { connectGrpc } from './grpc-channel.ts';
import { encodeFrame } from './grpc-frame.ts';
import { callable } from './grpc-method.ts';

const getBlob = callable(BlobService.method.getBlob);
const HEADERS = { ':status': 200, 'content-type': 'application/grpc' };
const MESSAGES = 8;
/** More than the client reads ahead, and less than the server may send. */
const MESSAGE = Buffer.concat(
  encodeFrame([
    toBinary(GetBlobResponseSchema, create(GetBlobResponseSchema, { data: Buffer.alloc(100_000) })),
  ]),
);

/** Starts a server of `node:http2`, and a channel to it. */
async function answering(answer: (stream: ServerHttp2Stream) => void) {
  const server = createServer().on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    answer(stream);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const channel = connectGrpc(connect(typeof address === 'object' ? (address?.port ?? 0) : 0, '127.0.0.1'));
  return {
    channel,
    [Symbol.asyncDispose]: async () => {
      channel.destroy();
      await channel.closed;
      server.close();
    },
  };
}

// The status had arrived, so that the call was successful, but its messages had no end: the reader
// of a large response waited for ever, whatever the deadline was.
test('a call whose last messages are lost with the connection fails', async () => {
  const sent = Promise.withResolvers<Http2Session | undefined>();
  await using server = await answering((stream) => {
    stream.respond(HEADERS, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    for (let count = 0; count < MESSAGES; count++) stream.write(MESSAGE);
    stream.resume().end();
    const { session } = stream; // `undefined` once it is closed
    stream.once('close', () => sent.resolve(session));
  });
  const call = server.channel.invoke(getBlob, [{}]);
  const session = await sent.promise;
  await new Promise((resolve) => session?.ping(resolve)); // the client has received everything

  session?.goaway(constants.NGHTTP2_INTERNAL_ERROR);
  await server.channel.closed;

  await assert.rejects(all(call), { code: 'UNAVAILABLE' });
});

test('a call that is reset after headers with the status OK fails', async () => {
  await using server = await answering((stream) => {
    stream.respond({ ...HEADERS, 'grpc-status': '0' });
    stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  });

  await assert.rejects(all(server.channel.invoke(getBlob, [{}])), {
    code: 'INTERNAL',
    message: 'stream terminated by RST_STREAM with error code: INTERNAL_ERROR',
  });
});
