import type { Owner } from './codec/owner.ts';

/**
 * Why an operation failed. After `unknown` it may still take effect; after all others it has not,
 * and will not.
 */
export type ProtocolProblem =
  /** Another server owns the repository, or may own it. */
  | 'not-owner'
  /** A reference does not have the old value of the change. */
  | 'old-value'
  /** The bucket did not respond in time. */
  | 'unavailable'
  /** The outcome of a write is not known. */
  | 'unknown'
  /** The queue of writes is full. */
  | 'full'
  | 'exists'
  | 'missing'
  /** A record in the bucket is not as it was written, or is missing. */
  | 'damaged';

export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly problem: ProtocolProblem;
  /** The owner, for `not-owner`, if it is known. */
  readonly owner: Owner | undefined;

  constructor(
    problem: ProtocolProblem,
    message: string,
    { owner, ...options }: ErrorOptions & { readonly owner?: Owner | undefined } = {},
  ) {
    super(message, options);
    this.problem = problem;
    this.owner = owner;
  }
}
