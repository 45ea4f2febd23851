import { leaveMark } from '../cache/cache-generations.ts';
import { OWN_DIRECTORY } from '../storage-layout.ts';
import type { Storages } from '../storages.ts';

/**
 * Marks the repository of a git that was killed, although its server continues, as one in which a
 * process has died. So what that git left is removed soon, or at the next start.
 *
 * @param path directory of the repository; one outside of the storages is ignored.
 */
export async function markKilled(storages: Storages, path: string, pid: number): Promise<void> {
  const storage = storages.all.find((each) => path.startsWith(`${each.path}/`));
  if (storage === undefined) return;
  const relativePath = path.slice(storage.path.length + 1);
  // A draft of a repository is removed as a whole.
  if (!relativePath.startsWith(`${OWN_DIRECTORY}/`)) await leaveMark({ storage, relativePath }, pid);
}
