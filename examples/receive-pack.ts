// Runs `git push` over a Gitaly connection: git starts this program instead of ssh.
//
// GIT_SSH_COMMAND='node examples/receive-pack.ts unix:data/gitaly.socket' GIT_SSH_VARIANT=simple
//   git push ssh://default/hello.git
import { dial, receivePack } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address, storageName, command] = readArguments('ADDRESS', 'STORAGE', 'COMMAND');
const [, relativePath] = /^git-receive-pack '\/?(.*)'$/.exec(command) ?? [];
if (relativePath === undefined) throw new Error(`can only receive-pack: ${command}`);

await using connection = await dial(address);
const repository = { storageName, relativePath, glRepository: 'project-1' };
// The user who pushes. A push that hooks refuse is not an error: git prints the reason.
const { exitCode } = await receivePack(connection, process, {
  repository,
  glId: 'user-1',
  glUsername: 'jane',
});
process.exitCode = exitCode;
process.stdin.destroy(); // git keeps its end open
