import { Quarantine } from '#storage/quarantine';
import type { Repository } from '#storage/repository';
import type { HookManager } from '../hooks/hook-manager.ts';

/**
 * The quarantine of a change that makes no objects. GitLab and scripts want to be told of one all the same; `undefined` when nobody
 * looks. Dispose it.
 */
export async function emptyQuarantine(hooks: HookManager, repository: Repository): Promise<Quarantine | undefined> {
  return (await hooks.looksAtObjects(repository)) ? await Quarantine.create(repository) : undefined;
}
