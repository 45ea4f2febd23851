import { codeOf, GitalyError, wrapped } from '#base/gitaly-error';
import type { RemoteRepository } from '../remote/server/remote-repository.ts';

/**
 * Checks that the source exists and is a repository.
 *
 * @throws {GitalyError} NOT_FOUND `invalid source repository`; `checking for repo existence: …`.
 */
export async function requireSource(source: RemoteRepository): Promise<void> {
  const exists = await source.exists().catch(wrapped('checking for repo existence'));
  if (!exists) throw invalidSource();
}

/** Returns the error for a source that is no repository, or none any more. */
export function invalidSource(cause?: unknown): GitalyError {
  return new GitalyError('NOT_FOUND', 'invalid source repository', { cause });
}

/** Reports whether the other server has answered that the source is not a repository. */
export function isInvalidSource(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'NOT_FOUND' || code === 'FAILED_PRECONDITION';
}
