/**
 * The least that a proxy of `node:http2` can do: passes each call on to one server, without looking
 * at it. A yardstick for praefect.
 *
 *   node bare-proxy.ts SOCKET SOCKET_OF_THE_SERVER
 */
import { connect, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { connect as connectSocket } from 'node:net';

const WITH_TRAILERS = { waitForTrailers: true, sendDate: false } as const;

const [socket = '', target = ''] = process.argv.slice(2);
const server = connect('http://localhost', { createConnection: () => connectSocket(target) });

createServer()
  .on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const call = server.request(headers);
    let trailers: IncomingHttpHeaders = {};
    stream.on('data', (chunk) => call.write(chunk));
    stream.on('end', () => call.end());
    call.on('response', (received) => stream.respond(received, WITH_TRAILERS));
    call.on('data', (chunk) => stream.write(chunk));
    call.on('trailers', (received) => {
      trailers = received;
    });
    call.on('end', () => stream.end());
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  })
  .listen(socket);
process.on('SIGTERM', () => process.exit());
