/**
 * Replaces ssh: git starts it as `ssh HOST "git-upload-pack 'REPOSITORY'"`, and it runs the command
 * with the client library. Environment: GITALY_ADDRESS; WITH_SIDECHANNEL=1 selects the sidechannel
 * for fetches.
 */
import {
  dialSidechannel,
  receivePack,
  SidechannelRegistry,
  type Stdio,
  uploadArchive,
  uploadPack,
  uploadPackWithSidechannel,
} from 'gitaly-ts/client';

const [, command = '', path = ''] = /^(git-[a-z-]+) '\/?(.*)'$/.exec(process.argv.at(-1) ?? '') ?? [];
const io: Stdio = process;
const registry = new SidechannelRegistry();
await using connection = await dialSidechannel(process.env.GITALY_ADDRESS ?? '', registry);
const repository = { storageName: 'default', relativePath: path, glRepository: 'project-1' };
const gitProtocol = process.env.GIT_PROTOCOL ?? '';

const { exitCode } = await run();
process.exitCode = exitCode;
process.stdin.destroy(); // git keeps its end open

function run() {
  switch (command) {
    case 'git-upload-pack':
      return process.env.WITH_SIDECHANNEL === '1'
        ? uploadPackWithSidechannel(connection, registry, io, { repository, gitProtocol })
        : uploadPack(connection, io, { repository, gitProtocol });
    case 'git-receive-pack':
      return receivePack(connection, io, { repository, gitProtocol, glId: 'user-1', glUsername: 'ann' });
    case 'git-upload-archive':
      return uploadArchive(connection, io, { repository });
    default:
      throw new Error(`unknown command: ${process.argv.at(-1)}`);
  }
}
