import { GitalyError, messageOf, STATUS_CODES } from '#base/gitaly-error';
import { LIMIT_REASONS, LimitRefusal } from '#base/limits/limit-refusal';
import { object, oneOf, optional, type Shaped, text } from '#base/shape';

/** An error in a message between processes. */
export const wireError = object({
  message: text,
  /** gRPC status of a {@link GitalyError}. */
  code: optional(oneOf(...STATUS_CODES)),
  /** Reason of a {@link LimitRefusal}. */
  reason: optional(oneOf(...LIMIT_REASONS)),
});

type FromWire = Shaped<typeof wireError>;

export function toWire(error: unknown): FromWire {
  return {
    message: messageOf(error),
    ...(error instanceof GitalyError && { code: error.code }),
    ...(error instanceof LimitRefusal && { reason: error.reason }),
  };
}

export function fromWire({ code, message, reason }: FromWire): Error {
  if (reason !== undefined) return new LimitRefusal(reason, message);
  return code === undefined ? new Error(message) : new GitalyError(code, message);
}
