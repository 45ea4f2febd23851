import { GitalyError } from '#base/gitaly-error';
import { SHARED_CLASS } from '#base/shared-class';

/** Text of grpc-go for a call that streams responses. */
const NO_REQUEST = 'cardinality violation: received no request message from non-client-streaming RPC';

/**
 * A method with one request got none. The status is that of grpc-go, which reads the request of a
 * unary call before Gitaly sees the call: UNKNOWN there, and not INTERNAL as for other errors
 * without a code.
 */
export class MissingRequestError extends GitalyError {
  static override readonly [SHARED_CLASS] = 'MissingRequestError';

  constructor({ isUnary }: { readonly isUnary: boolean }) {
    super(isUnary ? 'UNKNOWN' : 'INTERNAL', isUnary ? 'EOF' : NO_REQUEST);
  }
}
