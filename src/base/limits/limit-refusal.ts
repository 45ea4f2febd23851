/** Why a caller did not get its turn; label `reason` of Gitaly's metric. */
export const LIMIT_REASONS = ['max_size', 'max_time', 'other'] as const;

export type LimitReason = (typeof LIMIT_REASONS)[number];

/** A caller was refused, or left while it waited. */
export class LimitRefusal extends Error {
  override readonly name = 'LimitRefusal';
  readonly reason: LimitReason;

  constructor(reason: LimitReason, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/** Returns the refusal of a caller when too many wait. */
export function fullQueue(cause?: unknown): LimitRefusal {
  return new LimitRefusal('max_size', 'maximum queue size reached', cause);
}

/** Returns the refusal of a caller that no longer waits. */
export function abortedWait(signal: AbortSignal): LimitRefusal {
  const reason: unknown = signal.reason;
  const text = reason instanceof Error ? reason.message : String(reason);
  return new LimitRefusal('other', `unexpected error when dequeueing request: ${text}`, reason);
}
