import { flag, gitCommand } from '#git/command/git-command';
import type { Handlers } from '../dependencies.ts';

/**
 * Packs the loose references into one file. Clients of 15.0 only. @throws {GitalyError} INTERNAL
 * `exit status 128` when git cannot, for example locked out.
 */
export const packRefs: Handlers['packRefs'] = async (request, { signal }, deps) => {
  const repository = deps.storages.open(request.repository);

  await repository.run(gitCommand('pack-refs', { options: [flag('--all')] }), { signal });
  return {};
};
