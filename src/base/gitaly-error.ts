import { systemErrorMessage } from './go/system-error.ts';
import { isError } from './is-error.ts';
import { isSharedInstance, SHARED_CLASS } from './shared-class.ts';

/** Status code names of errors. `rpc/common/status-code.ts` maps them to gRPC numbers. */
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

/** All of them in the order of their numbers (`grpc-status` 0 to 16). */
export const STATUS_CODES: readonly StatusCode[] = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

/** A message inside an error that clients branch on. The transport packs it by its type name. */
export interface ErrorDetail {
  readonly $typeName: string;
}

export interface GitalyErrorOptions {
  cause?: unknown;
  /** Facts for the log. They are never sent to the client. */
  metadata?: Readonly<Record<string, unknown>>;
  /** Details for the client, outermost first. */
  details?: readonly ErrorDetail[];
  /** A remedy, for people. */
  hint?: string | undefined;
}

/**
 * The only error class that crosses modules. It has a status code, a message for the client,
 * details, and facts for the log. The client receives any other error that leaves a handler as
 * INTERNAL with its message.
 */
export class GitalyError extends Error {
  static readonly [SHARED_CLASS]: string = 'GitalyError';
  override readonly name: string = 'GitalyError';
  readonly code: StatusCode;
  readonly details: readonly ErrorDetail[];
  readonly metadata: Readonly<Record<string, unknown>>;
  /**
   * A remedy, for failures that have a usual one; for people, not for programs. Node prints it with
   * an uncaught error.
   */
  declare readonly hint?: string | undefined;

  constructor(code: StatusCode, message: string, options: GitalyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? [];
    this.metadata = options.metadata ?? {};
    if (options.hint !== undefined) this.hint = options.hint;
  }

  /** True also for an instance of this class in another copy of this code. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: subclasses inherit this function
    return isSharedInstance(this, value);
  }
}

/** Returns the error of a request that cannot be meant so. */
export function invalidArgument(message: string, options?: GitalyErrorOptions): GitalyError {
  return new GitalyError('INVALID_ARGUMENT', message, options);
}

/** Returns the code of an error; `undefined` if it has none or UNKNOWN. */
export function codeOf(error: unknown): StatusCode | undefined {
  return error instanceof GitalyError && error.code !== 'UNKNOWN' ? error.code : undefined;
}

/**
 * Returns the message of anything that was thrown, for a client: a failed system call is described
 * as Go does.
 */
export function clientMessageOf(error: unknown): string {
  return systemErrorMessage(error) ?? messageOf(error);
}

/** Returns the message of any thrown value. */
export function messageOf(error: unknown): string {
  return isError(error) ? error.message : String(error);
}

/** Returns the message of an error for a person: with its hint. */
export function messageWithHint(error: unknown): string {
  const hint = error instanceof GitalyError ? error.hint : undefined;
  return hint === undefined ? messageOf(error) : `${messageOf(error)}. ${hint}`;
}

/**
 * Puts `prefix: ` before an error's message. The code, details and metadata of the wrapped error
 * take precedence; `fallback` is used only if the wrapped errors have no code (Gitaly:
 * `structerr`). New details come before those of the wrapped error.
 */
export function wrap(
  error: unknown,
  prefix: string,
  fallback: StatusCode = 'INTERNAL',
  options: Omit<GitalyErrorOptions, 'cause'> = {},
): GitalyError {
  const inner = error instanceof GitalyError ? error : undefined;
  return new GitalyError(codeOf(error) ?? fallback, `${prefix}: ${clientMessageOf(error)}`, {
    cause: error,
    details: [...(options.details ?? []), ...(inner?.details ?? [])],
    metadata: { ...inner?.metadata, ...options.metadata },
    hint: options.hint ?? inner?.hint,
  });
}

/**
 * Returns a function that throws an error with a prefix, as `wrap` makes it. For `catch`:
 *
 *     await removeTree(path).catch(wrapped('removing worktree'));
 */
export function wrapped(
  prefix: string,
  fallback?: StatusCode,
  options?: Omit<GitalyErrorOptions, 'cause'>,
): (error: unknown) => never {
  return (error) => {
    throw wrap(error, prefix, fallback, options);
  };
}

/** Returns a function like `wrapped`, of which the error is plain: it has no code. */
export function prefixed(prefix: string): (error: unknown) => never {
  return (error) => {
    throw new Error(`${prefix}: ${messageOf(error)}`, { cause: error });
  };
}

/**
 * Returns a function that gives a value for an error with this code, and throws any other. For
 * `catch`:
 *
 *     const entry = await find(path).catch(insteadOf('NOT_FOUND', undefined));
 */
export function insteadOf<T>(code: StatusCode, value: T): (error: unknown) => T {
  return (error) => {
    if (codeOf(error) !== code) throw error;
    return value;
  };
}

/** Returns the error with the code `fallback` if it has no code. The message is unchanged. */
export function withCode(error: unknown, fallback: StatusCode): GitalyError {
  if (error instanceof GitalyError && error.code !== 'UNKNOWN') return error;
  const inner = error instanceof GitalyError ? error : undefined;
  return new GitalyError(fallback, clientMessageOf(error), {
    cause: error,
    details: inner?.details ?? [],
    metadata: inner?.metadata ?? {},
    hint: inner?.hint,
  });
}
