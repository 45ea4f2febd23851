import { type DescMessage, isMessage, type MessageShape } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { type ErrorDetail, GitalyError } from '#base/gitaly-error';
import { SHARED_CLASS } from '#base/shared-class';
import { Metadata } from '#rpc/common/metadata';
import { statusNumber } from '#rpc/common/status-code';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import type { Operation } from '#wire/method-info';
import { errorHint } from './error-hint.ts';

/**
 * A failed call: the server's status, or the reason why there is none. Branch on `code` and on
 * `detail`, not on the message.
 */
export class CallError extends GitalyError {
  static override readonly [SHARED_CLASS]: string = 'CallError';
  override readonly name: string = 'CallError';
  /** `/gitaly.CommitService/FindCommit` */
  readonly rpc: string;
  /** The address of the connection. */
  readonly address: string;
  /** `accessor` for a read-only method, `mutator` for one that changes something. */
  readonly operation: Operation;
  /** Metadata that came with the status; empty without a status. */
  readonly trailers: Metadata;
  override readonly hint: string | undefined;
  readonly #isSpent: boolean;

  constructor(
    error: GitalyError,
    call: {
      rpc: string;
      address: string;
      operation: Operation;
      trailers?: Metadata;
      /** True if its sidechannel was used: its bytes cannot be sent again. */
      isSpent?: boolean;
    },
  ) {
    super(error.code, error.message, {
      cause: error.cause ?? error,
      metadata: error.metadata,
      details: error.details,
    });
    this.rpc = call.rpc;
    this.address = call.address;
    this.operation = call.operation;
    this.trailers = call.trailers ?? Metadata.from();
    this.#isSpent = call.isSpent ?? false;
    this.hint = error.hint ?? errorHint(this);
  }

  /** The gRPC number of the code. */
  get codeNumber(): number {
    return statusNumber(this.code);
  }

  /** Returns the first detail of this type: `error.detail(UserMergeBranchErrorSchema)`. */
  detail<Desc extends DescMessage>(schema: Desc): MessageShape<Desc> | undefined {
    const found = this.details.find((detail) => detail.$typeName === schema.typeName);
    // The type name identifies the message; the transport decoded it with the schema of that name.
    return found as MessageShape<Desc> | undefined;
  }

  /**
   * The case of the first detail (`customHook`, `accessCheck` …), for details that are a choice of
   * errors.
   */
  get reason(): string | undefined {
    const [first] = this.details;
    return first === undefined ? undefined : choiceOf(first);
  }

  /**
   * Facts that a server attaches for the caller's log, by name. Production servers attach none.
   */
  get errorMetadata(): Readonly<Record<string, string>> {
    return readErrorMetadata(this.details);
  }

  /**
   * True if the same call may be repeated without doing anything twice: there was no connection,
   * the server did not process it, a limit refused it, or the server disconnected from a read-only
   * call. False for a call whose sidechannel was used, because its bytes are gone. The connection's
   * retry policy has already retried what it covers.
   */
  get retryable(): boolean {
    if (this.#isSpent) return false;
    if (this.metadata.unsent === true) return true;
    if (this.metadata.unprocessed === true || this.limit !== undefined) return true;
    return this.code === 'UNAVAILABLE' && this.operation === 'accessor';
  }

  /** How long the client should wait, if a limit of the server refused the call. */
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

/**
 * Type of log facts that the server sends in Gitaly's own tests; it is not part of the interface.
 */
const TYPE_URL = /\/testproto\.ErrorMetadata$/;
const KEY = 1;
const VALUE = 2;

/** Returns the key-value pairs among an error's details. Unreadable pairs are omitted. */
function readErrorMetadata(details: readonly ErrorDetail[]): Record<string, string> {
  const pairs: [string, string][] = [];
  for (const detail of details) {
    if (!isMessage(detail, AnySchema) || !TYPE_URL.test(detail.typeUrl)) continue;
    try {
      pairs.push(readPair(detail.value));
    } catch {
      // the pair is only meant for the log
    }
  }
  return Object.fromEntries(pairs);
}

function readPair(bytes: Uint8Array): [key: string, value: string] {
  const reader = new BinaryReader(bytes);
  let [key, value] = ['', ''];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === KEY) key = Buffer.from(reader.bytes()).toString();
    else if (field === VALUE) value = Buffer.from(reader.bytes()).toString();
    else reader.skip(wireType);
  }
  return [key, value];
}
