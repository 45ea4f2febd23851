import type { RepositoryTarget } from '#storage/repository-target';
import type { ServiceRequest } from '../git-service/service-streams.ts';
import type { UpdateContext } from '../ref-update/update-with-hooks.ts';

/** A push to receive. */
export interface Push extends ServiceRequest, Omit<UpdateContext, 'hooks'> {
  /** Repository as the request names it; operators' scripts receive its GitLab names. */
  readonly target: RepositoryTarget;
  /** Receives log fields about git's processes; `undefined` if no one requests them. */
  readonly onTrace?: ((fields: Readonly<Record<string, unknown>>) => void) | undefined;
}
