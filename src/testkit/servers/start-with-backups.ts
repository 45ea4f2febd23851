import { join } from 'node:path';
import { startGitaly, type TestGitaly } from '../start-gitaly.ts';

/** Starts a server with backups in its directory `backups`. */
export async function startWithBackups(): Promise<TestGitaly> {
  const config = (directory: string) => ({ backup: { go_cloud_url: join(directory, 'backups') } });
  return await startGitaly({ config });
}

/** Returns the path of a repository in the server's storage. */
export function pathOf(gitaly: TestGitaly, { relativePath }: { readonly relativePath: string }): string {
  return join(gitaly.storagePath(), relativePath);
}
