import { type TestOptions, test } from 'node:test';
import type { OpenSession } from '#rpc/common/grpc/grpc-channel';
import { NodeSession } from '#rpc/common/grpc/node-session';
import { FrameSession } from '#rpc/common/http2/frame-session';

const SESSIONS: readonly { readonly name: string; readonly open: OpenSession }[] = [
  { name: 'NodeSession', open: (duplex, common) => new NodeSession(duplex, common) },
  { name: 'FrameSession', open: (duplex, common) => new FrameSession(duplex, common) },
];

/** Declares a test of our client for each implementation of HTTP/2 that it has. */
export function testSessions(
  name: string,
  options: TestOptions,
  run: (openSession: OpenSession) => Promise<void>,
): void {
  for (const session of SESSIONS) test(`${name} (${session.name})`, options, () => run(session.open));
}
