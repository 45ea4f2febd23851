import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { type ErrorDetail, GitalyError } from '#base/gitaly-error';
import { Metadata } from '#rpc/common/metadata';
import { statusNumber } from '#rpc/common/status-code';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import type { Operation } from '#wire/method-info';
import { readErrorMetadata } from './error-metadata.ts';

/**
 * A call that failed: the server's status, or why no status came. Branch on `code` and on `detail`, not on the message.
 */
export class CallError extends GitalyError {
  override readonly name: string = 'CallError';
  /** `/gitaly.CommitService/FindCommit` */
  readonly rpc: string;
  /** The connection string of the connection. */
  readonly address: string;
  /** Whether the method only reads (`accessor`) or changes something. */
  readonly operation: Operation;
  /** What came with the status; empty when no status came. */
  readonly trailers: Metadata;

  constructor(error: GitalyError, call: { rpc: string; address: string; operation: Operation; trailers?: Metadata }) {
    super(error.code, error.message, { cause: error.cause ?? error, metadata: error.metadata, details: error.details });
    this.rpc = call.rpc;
    this.address = call.address;
    this.operation = call.operation;
    this.trailers = call.trailers ?? Metadata.from();
  }

  /** The number of the code in gRPC. */
  get codeNumber(): number {
    return statusNumber(this.code);
  }

  /** The first detail of this type: `error.detail(UserMergeBranchErrorSchema)`. */
  detail<Desc extends DescMessage>(schema: Desc): MessageShape<Desc> | undefined {
    const found = this.details.find((detail) => detail.$typeName === schema.typeName);
    // The type name says which message it is; the transport decoded it with the schema of that name.
    return found as MessageShape<Desc> | undefined;
  }

  /** Which of its cases the first detail names (`customHook`, `accessCheck` …), for details that are a choice of errors. */
  get reason(): string | undefined {
    const [first] = this.details;
    return first === undefined ? undefined : choiceOf(first);
  }

  /** The facts that a server attaches for the caller's log, by name: empty from production servers, which keep them to themselves. */
  get errorMetadata(): Readonly<Record<string, string>> {
    return readErrorMetadata(this.details);
  }

  /**
   * Whether the same call may be made once more without doing anything twice: the server never looked at it, refused it because of a
   * limit, or went away from a call that only reads. What the connection's retry policy covers was repeated already.
   */
  get retryable(): boolean {
    if (this.metadata.unprocessed === true || this.limit !== undefined) return true;
    return this.code === 'UNAVAILABLE' && this.operation === 'accessor';
  }

  /** Set when a limit of the server refused the call: how long it asks us to wait. */
  get limit(): { readonly retryAfterMs: number } | undefined {
    const limit = this.detail(LimitErrorSchema);
    if (limit === undefined) return undefined;
    const { seconds = 0n, nanos = 0 } = limit.retryAfter ?? {};
    return { retryAfterMs: Number(seconds) * 1000 + nanos / 1e6 };
  }
}

/** Messages like UserMergeBranchError have one field, a oneof named `error`. */
function choiceOf(detail: ErrorDetail): string | undefined {
  if (!('error' in detail) || typeof detail.error !== 'object' || detail.error === null) return undefined;
  return 'case' in detail.error && typeof detail.error.case === 'string' ? detail.error.case : undefined;
}
