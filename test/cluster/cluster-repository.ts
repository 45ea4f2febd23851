import { commitFiles } from '#client/index';
import type { TestPraefect } from '#testkit/start-cluster';

/** The repository of these tests, as clients name it. */
export const repository = { storageName: 'default', relativePath: '@hashed/aa/bb/aabb.git' };

/** The nodes of a cluster, which count from 1. */
export const NODES = [1, 2, 3];

const user = { glId: 'user-1', name: Buffer.from('Jane'), email: Buffer.from('jane@example.com') };

/** Commits a new file to `main` of {@link repository} and returns the commit. */
export async function commit(
  { connection }: Pick<TestPraefect, 'connection'>,
  text: string,
): Promise<string> {
  const update = await commitFiles(
    connection,
    {
      repository,
      user,
      branchName: Buffer.from('main'),
      commitMessage: Buffer.from(text),
      timestamp: { seconds: 1_700_000_000n, nanos: 0 },
    },
    [{ type: 'create', path: `${text}.txt`, content: text }],
  );
  return update?.commitId ?? '';
}
