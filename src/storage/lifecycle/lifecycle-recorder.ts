import type { ChangeUser } from '#base/change-user';
import type { RepositoryLocation } from '../repository-target.ts';

/** A repository is created, removed, or moved from another path. */
export interface LifecycleChange {
  readonly kind: 'created' | 'removed' | 'renamed';
  /** Location after the change. */
  readonly location: RepositoryLocation;
  /** Path before the change, for a renamed repository. */
  readonly previousPath?: string;
  /** Who makes the change. Default: the user of the call that runs. */
  readonly user?: ChangeUser | undefined;
}

/** Records changes of repositories, so that none is lost when the server dies. It never throws. */
export interface LifecycleRecorder {
  /** Makes a change, and records it if the function succeeds. @throws what the function throws. */
  recordWhile(change: LifecycleChange, make: () => Promise<void>): Promise<void>;
}
