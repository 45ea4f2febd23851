import type { MethodInfo } from '#wire/method-info';

/** Mutators of repositories in which nodes do not vote: after them every secondary gets a copy. */
const WITHOUT_VOTES: ReadonlySet<string> = new Set([
  'ObjectPoolService/CreateObjectPool',
  'ObjectPoolService/DeleteObjectPool',
  // Clients of 15.0 only.
  'ObjectPoolService/ReduplicateRepository',
  'RepositoryService/RenameRepository',
]);

/** A change of a repository's record, and of the jobs that bring it to other nodes. */
export type RecordChange = 'create' | 'update' | 'rename' | 'delete';

const CREATIONS: ReadonlySet<string> = new Set([
  'ObjectPoolService/CreateObjectPool',
  'RepositoryService/CreateFork',
  'RepositoryService/CreateRepository',
  'RepositoryService/CreateRepositoryFromBundle',
  'RepositoryService/CreateRepositoryFromSnapshot',
  'RepositoryService/CreateRepositoryFromURL',
  'RepositoryService/ReplicateRepository',
  'RepositoryService/RestoreRepository',
]);
const REMOVALS: ReadonlySet<string> = new Set([
  'ObjectPoolService/DeleteObjectPool',
  'RepositoryService/RemoveRepository',
]);

const shortName = ({ path }: MethodInfo): string => path.slice('/gitaly.'.length);

/** Reports whether the nodes vote in a call of this method. */
export function isTransactional(method: MethodInfo): boolean {
  return (
    method.operation === 'mutator' && method.scope === 'repository' && !WITHOUT_VOTES.has(shortName(method))
  );
}

export function changeOf(method: MethodInfo): RecordChange {
  if (CREATIONS.has(shortName(method))) return 'create';
  if (shortName(method) === 'RepositoryService/RenameRepository') return 'rename';
  return REMOVALS.has(shortName(method)) ? 'delete' : 'update';
}
