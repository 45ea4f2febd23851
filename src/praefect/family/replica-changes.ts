import type { Family } from '#workers/family';
import type { RepositoryKey } from '../model/repository-key.ts';

/** Message to the supervisor: the replicas of a repository have changed. */
const CHANGED = 'praefect: replicas changed';
/** Message to workers: forget what you have read about a repository. */
const FORGET = 'praefect: forget replicas';

/** Time that a process has to forget. One that is blocked for longer may send reads to old replicas. */
const FORGET_LIMIT_MS = 5000;

/** Makes all processes forget a repository. Never rejects. */
export type ForgetReplicas = (repository: RepositoryKey) => Promise<void>;

/**
 * Returns the function that is called before the response to a change of replicas. Afterwards no
 * process of this Praefect reads from replicas that lack the change. The database notifies other
 * Praefects a little later.
 *
 * @param forget forgets the repository in this process.
 */
export function forgetReplicas(
  family: Family | undefined,
  forget: (repository: RepositoryKey) => void,
): ForgetReplicas {
  if (family === undefined) return async (repository) => forget(repository);
  if (family.role === 'supervisor') {
    const everywhere: ForgetReplicas = async (repository) => {
      forget(repository);
      const signal = AbortSignal.timeout(FORGET_LIMIT_MS);
      // A process that has ended, or responds late, does not delay the others.
      await Promise.allSettled(family.serving().map(({ link }) => link.ask(FORGET, repository, { signal })));
    };
    family.desk.onAsked(CHANGED, async (value) => {
      await everywhere(value as RepositoryKey); // from a worker, below
      return {};
    });
    return everywhere;
  }
  const { link } = family;
  link.onAsked(FORGET, (value) => {
    forget(value as RepositoryKey); // from the supervisor, above
    return {};
  });
  return async (repository) => {
    // Without a supervisor, this process stops as well.
    await link.ask(CHANGED, repository).catch(() => forget(repository));
  };
}
