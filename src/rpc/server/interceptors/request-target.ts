import type { Message } from '@bufbuild/protobuf';
import type { ServerCall } from '../server-call.ts';

/** The repository that a message names, as far as interceptors need it. */
export interface RequestTarget {
  readonly storageName: string;
  readonly relativePath: string;
  readonly glRepository: string;
  readonly glProjectPath: string;
}

/** The target repository of a request message; `undefined` for methods without one and for opaque frames. */
export function requestTarget(call: ServerCall, message: unknown): RequestTarget | undefined {
  if (call.method.scope !== 'repository' || Buffer.isBuffer(message)) return undefined;
  return call.method.targetRepository(message as Message); // the hook gets decoded messages of the method's input type
}
