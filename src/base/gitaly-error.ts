/** Names of the status codes that an error can carry. The numbers belong to the transport (`rpc/common/status-code.ts`). */
export type StatusCode =
  | 'OK'
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED';

/** A message that travels with an error and that clients branch on. The transport packs it by its type name. */
export interface ErrorDetail {
  readonly $typeName: string;
}

export interface GitalyErrorOptions {
  cause?: unknown;
  /** Facts for the log. They never reach the client's message. */
  metadata?: Readonly<Record<string, unknown>>;
  /** What a client branches on, outermost first. */
  details?: readonly ErrorDetail[];
}

/**
 * The one error class that crosses rooms: a status code, a message that a client may see, details and facts for the log.
 * Any other error that leaves a handler reaches the client as INTERNAL with its own message.
 */
export class GitalyError extends Error {
  override readonly name: string = 'GitalyError';
  readonly code: StatusCode;
  readonly details: readonly ErrorDetail[];
  readonly metadata: Readonly<Record<string, unknown>>;

  constructor(code: StatusCode, message: string, options: GitalyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? [];
    this.metadata = options.metadata ?? {};
  }
}

/** The code that an error carries, `undefined` when it carries none that says anything (UNKNOWN does not). */
export function codeOf(error: unknown): StatusCode | undefined {
  return error instanceof GitalyError && error.code !== 'UNKNOWN' ? error.code : undefined;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Puts `prefix: ` before an error's message. The code, details and metadata of the wrapped error win; `fallback` is used only
 * when nothing inside carries a code (Gitaly: `structerr`). Own details come before those of the wrapped error.
 */
export function wrap(
  error: unknown,
  prefix: string,
  fallback: StatusCode = 'INTERNAL',
  options: Omit<GitalyErrorOptions, 'cause'> = {},
): GitalyError {
  const inner = error instanceof GitalyError ? error : undefined;
  return new GitalyError(codeOf(error) ?? fallback, `${prefix}: ${messageOf(error)}`, {
    cause: error,
    details: [...(options.details ?? []), ...(inner?.details ?? [])],
    metadata: { ...inner?.metadata, ...options.metadata },
  });
}

/** Gives an error without a code of its own the code `fallback`, message unchanged. */
export function withCode(error: unknown, fallback: StatusCode): GitalyError {
  if (error instanceof GitalyError && error.code !== 'UNKNOWN') return error;
  const inner = error instanceof GitalyError ? error : undefined;
  return new GitalyError(fallback, messageOf(error), {
    cause: error,
    details: inner?.details ?? [],
    metadata: inner?.metadata ?? {},
  });
}
