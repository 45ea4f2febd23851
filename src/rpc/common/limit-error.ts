import { create } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { LimitRefusal } from '#base/limits/limit-refusal';
import { LimitErrorSchema } from '#wire/gen/errors_pb';

/** Returns RESOURCE_EXHAUSTED with the detail by which clients recognize a busy server. */
export function limitError(message: string, cause?: unknown): GitalyError {
  // A time of zero means that the same call will not succeed soon.
  const detail = create(LimitErrorSchema, { errorMessage: message, retryAfter: { seconds: 0n } });
  return new GitalyError('RESOURCE_EXHAUSTED', message, { details: [detail], cause });
}

/** Returns the error of a call for the refusal of a limit; any other error unchanged. */
export function withLimitError(error: unknown): unknown {
  if (!(error instanceof LimitRefusal)) return error;
  const { cause, message, reason } = error;
  if (reason !== 'other') return limitError(message, error);
  return cause instanceof GitalyError ? new GitalyError(cause.code, message, { cause }) : cause;
}
