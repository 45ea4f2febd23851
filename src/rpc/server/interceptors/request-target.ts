import type { Message } from '@bufbuild/protobuf';
import type { ServerCall } from '../server-call.ts';

/** The part of a message's repository that interceptors need. */
export interface RequestTarget {
  readonly storageName: string;
  readonly relativePath: string;
  readonly glRepository: string;
  readonly glProjectPath: string;
}

/**
 * Returns the target repository of a request message; `undefined` for methods without one and for
 * opaque frames.
 */
export function requestTarget(call: ServerCall, message: unknown): RequestTarget | undefined {
  if (call.method.scope !== 'repository' || Buffer.isBuffer(message)) return undefined;
  // the hook receives decoded messages of the method's input type
  return call.method.targetRepository(message as Message);
}
