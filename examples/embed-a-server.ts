// Runs a server inside this program, on a temporary directory that is removed at the end, as test
// suites do.
//
// node examples/embed-a-server.ts
import { startGitaly } from 'gitaly-ts/testing';

await using gitaly = await startGitaly();
const repository = { storageName: 'default', relativePath: 'a.git' };

await gitaly.connection.repository.createRepository({ repository, defaultBranch: Buffer.from('trunk') });
const { name } = await gitaly.connection.ref.findDefaultBranchName({ repository, headOnly: true });
console.log(gitaly.address, Buffer.from(name).toString());
