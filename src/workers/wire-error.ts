import { GitalyError, messageOf } from '#base/gitaly-error';
import { type LimitReason, LimitRefusal } from '#base/limits/keyed-limit';

/** An error in a message between processes. */
export interface FromWire {
  readonly message: string;
  /** gRPC status of a {@link GitalyError}. */
  readonly code?: GitalyError['code'] | undefined;
  /** Reason of a {@link LimitRefusal}. */
  readonly reason?: LimitReason | undefined;
}

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
