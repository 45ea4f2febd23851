import { once } from 'node:events';
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { FrameSession } from '#rpc/common/http2/frame-session';
import { TEST_HEADERS } from './raw-http2-server.ts';

/** A server of `node:http2`, and a session with it. */
export interface NodeServer extends AsyncDisposable {
  readonly session: FrameSession;
  readonly serverSession: ServerHttp2Session;
}

export type OnStream = (stream: ServerHttp2Stream, rawHeaders: string[]) => void;

/** Starts a server of `node:http2`, and a session with it over a socket. */
export async function nodeServer(
  onStream: OnStream,
  options: Parameters<typeof createServer>[0] = {},
  maxUnreadBytes?: number,
): Promise<NodeServer> {
  const server = createServer(options);
  server.on('stream', (stream: ServerHttp2Stream, _headers, _flags, rawHeaders: string[]) => {
    stream.on('error', () => {}); // resets are what some tests are about
    onStream(stream, rawHeaders);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const opened = once(server, 'session');
  const socket = connect(typeof address === 'object' ? (address?.port ?? 0) : 0, '127.0.0.1');
  const session = new FrameSession(socket, TEST_HEADERS, maxUnreadBytes);
  const [serverSession] = await opened;
  return {
    session,
    serverSession,
    [Symbol.asyncDispose]: async () => {
      session.destroy();
      await session.closed;
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
