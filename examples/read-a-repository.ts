// Prints the last commit of a repository and the sizes of its first files.
//
//   node examples/read-a-repository.ts unix:data/gitaly.socket default hello.git
import { dial, GitalyError } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address, storageName, relativePath] = readArguments('ADDRESS', 'STORAGE', 'REPOSITORY');
const repository = { storageName, relativePath };
const HEAD = Buffer.from('HEAD');

await using connection = await dial(address, { clientName: 'example' });
try {
  const { commit } = await connection.commit.findCommit({ repository, revision: HEAD }, { timeoutMs: 5000 });
  console.log(commit?.id, Buffer.from(commit?.subject ?? []).toString());

  const files: Uint8Array[] = [];
  for await (const { paths } of connection.commit.listFiles({ repository, revision: HEAD }))
    files.push(...paths);

  const revisionPaths = files.slice(0, 5).map((path) => ({ revision: 'HEAD', path }));
  for await (const { path, size } of connection.blob.getBlobs({ repository, revisionPaths, limit: 0n })) {
    console.log(Buffer.from(path).toString(), size);
  }
} catch (error) {
  if (!(error instanceof GitalyError) || error.code !== 'NOT_FOUND') throw error;
  console.error(`there is no ${relativePath} in storage ${storageName}: ${error.message}`);
  process.exitCode = 1;
}
