// Creates a repository, writes to it, reads, compares, lists, and removes it.
// node examples/complete-example.ts unix:data/gitaly.socket default scratch
import { CallError, collect, commitFiles, dial, openBlob, paginate } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address, storageName, prefix] = readArguments('ADDRESS', 'STORAGE', 'PREFIX');
const repository = { storageName, relativePath: `${prefix}-${Date.now()}.git`, glRepository: 'project-1' };
const user = {
  glId: 'user-1',
  glUsername: 'jane',
  name: Buffer.from('Jane'),
  email: Buffer.from('jane@example.com'),
};
const header = { repository, user, branchName: Buffer.from('main'), commitMessage: Buffer.from('change') };

await using connection = await dial(address, { clientName: 'example', defaultTimeoutMs: 30_000 });
await connection.repository.createRepository({ repository, defaultBranch: Buffer.from('main') });
try {
  await commitFiles(connection, header, [{ type: 'create', path: 'README.md', content: '# Hello\n' }]);
  const update = await commitFiles(connection, header, [
    { type: 'update', path: 'README.md', content: '# Hello, world\n' },
  ]);

  const ids: string[] = [];
  for await (const { id } of paginate.commits(connection, { repository, revisions: ['main'] })) ids.push(id);
  console.log(`${ids.length} commits, the last one is ours: ${ids[0] === update?.commitId}`);
  const [rightCommitId = '', leftCommitId = ''] = ids;
  const diff = connection.diff.commitDiff({ repository, leftCommitId, rightCommitId });
  for await (const { toPath, patch, toId } of collect.diffs(diff)) {
    console.log(`${Buffer.from(toPath)}\n${patch}`);
    const blob = await openBlob(connection, { repository, oid: toId });
    console.log(`${blob?.size} bytes: ${blob === undefined ? '' : (await blob.content.toArray()).join('')}`);
  }
  await commitFiles(connection, header, [{ type: 'delete', path: 'no-such-file' }]);
} catch (error) {
  if (!(error instanceof CallError)) throw error;
  console.log(`${error.code}, because of ${error.reason}: ${error.message}`);
} finally {
  await connection.repository.removeRepository({ repository });
}
