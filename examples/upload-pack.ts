// Runs `git clone` and `git fetch` over a Gitaly connection: git starts this program instead of
// ssh.
//
// GIT_SSH_COMMAND='node examples/upload-pack.ts unix:data/gitaly.socket' GIT_SSH_VARIANT=simple git
//   clone ssh://default/hello.git
import { dial, uploadPack } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address, storageName, command] = readArguments('ADDRESS', 'STORAGE', 'COMMAND');
const [, relativePath] = /^git-upload-pack '\/?(.*)'$/.exec(command) ?? [];
if (relativePath === undefined) throw new Error(`can only upload-pack: ${command}`);

await using connection = await dial(address);
const { exitCode } = await uploadPack(connection, process, { repository: { storageName, relativePath } });
process.exitCode = exitCode;
process.stdin.destroy(); // git keeps its end open
