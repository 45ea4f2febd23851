import type { OpenSession } from '#rpc/common/grpc/grpc-channel';
import { NodeSession } from '#rpc/common/grpc/node-session';
import { ConnectionError } from '#rpc/common/http2/connection-error';
import { FrameSession } from '#rpc/common/http2/frame-session';

/**
 * Returns the function that opens HTTP/2 sessions for the reads of one node. It opens those of our
 * own client, which needs less CPU time (docs/decisions/0028-http2-client-for-reads.md). If that
 * refuses what the node sends, all later connections use `node:http2`.
 */
export function readSessions(): OpenSession {
  let isRefused = false;
  return (duplex, common) => {
    if (isRefused) return new NodeSession(duplex, common);
    const session = new FrameSession(duplex, common);
    void session.closed.then(() => {
      isRefused ||= session.error instanceof ConnectionError;
    });
    return session;
  };
}
