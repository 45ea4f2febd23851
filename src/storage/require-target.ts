import { invalidArgument } from '#base/gitaly-error';

/** The fields that name a repository. */
interface Named {
  readonly storageName: string;
  readonly relativePath: string;
}

/**
 * Checks that a request names a repository, which may lie on another server.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `repository not set`, `repository path not set`.
 */
export function requireTarget<T extends Named>(target: T | undefined): T {
  if (target === undefined || (target.storageName === '' && target.relativePath === '')) {
    throw invalidArgument('repository not set');
  }
  if (target.relativePath === '') throw invalidArgument('repository path not set');
  return target;
}
