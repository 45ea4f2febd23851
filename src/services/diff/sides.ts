import { invalidArgument } from '#base/gitaly-error';
import type { Sides } from '#git/diff/commands';

/** The part of a request that names the two sides. */
export interface SidesRequest {
  readonly leftCommitId: string;
  readonly rightCommitId: string;
  readonly paths?: readonly Uint8Array[];
}

/**
 * Returns both sides of a request without resolving them. @throws {GitalyError} INVALID_ARGUMENT
 * when one is missing.
 */
export function requireSides({ leftCommitId, rightCommitId, paths = [] }: SidesRequest): Sides {
  if (leftCommitId === '') throw invalidArgument('empty LeftCommitId');
  if (rightCommitId === '') throw invalidArgument('empty RightCommitId');
  return { left: leftCommitId, right: rightCommitId, paths };
}
