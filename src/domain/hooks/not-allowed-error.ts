import type { PushUser } from './payload.ts';

/** GitLab does not allow a change, or could not be reached. */
export class NotAllowedError extends Error {
  override readonly name = 'NotAllowedError';
  /** GitLab's message, or the reason why GitLab could not be reached. */
  readonly reason: string;
  readonly userId: string;
  readonly protocol: string;
  readonly changes: Buffer;

  constructor(reason: string, { userId, protocol }: PushUser, changes: Buffer, options?: ErrorOptions) {
    super(`GitLab: ${reason}`, options);
    this.reason = reason;
    this.userId = userId;
    this.protocol = protocol;
    this.changes = changes;
  }
}
