import { nothing } from '#base/shape';
import type { ProcessFamily } from '#workers/family';
import { answer, asked, protocol, remote } from '#workers/protocol';
import { type RepositoryKey, repositoryKey } from '../model/repository-key.ts';

/** Answered by the supervisor: the replicas of a repository have changed. */
const CHANGES = protocol('replicas', { changed: asked(repositoryKey, nothing) });
/** Answered by workers: forget what you have read about a repository. */
const MEMORY = protocol('memory', { forget: asked(repositoryKey, nothing) });

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
  family: ProcessFamily | undefined,
  forget: (repository: RepositoryKey) => void,
): ForgetReplicas {
  if (family === undefined) return async (repository) => forget(repository);
  if (family.role === 'supervisor') {
    const everywhere: ForgetReplicas = async (repository) => {
      forget(repository);
      const signal = AbortSignal.timeout(FORGET_LIMIT_MS);
      // A process that has ended, or responds late, does not delay the others.
      const asking = family.serving().map(({ link }) => remote(link, MEMORY).forget(repository, { signal }));
      await Promise.allSettled(asking);
    };
    answer(family.desk, CHANGES, { changed: everywhere });
    return everywhere;
  }
  const { link } = family;
  answer(link, MEMORY, { forget });
  const { changed } = remote(link, CHANGES);
  // Without a supervisor, this process stops as well.
  return (repository) => changed(repository).catch(() => forget(repository));
}
