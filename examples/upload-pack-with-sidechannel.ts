// Like upload-pack.ts, with git's data on a sidechannel instead of in messages: current servers
// support it, and it is faster.
//
// GIT_SSH_COMMAND='node examples/upload-pack-with-sidechannel.ts unix:data/gitaly.socket'
//   GIT_SSH_VARIANT=simple git clone …
import { dialSidechannel, SidechannelRegistry, uploadPackWithSidechannel } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address, storageName, command] = readArguments('ADDRESS', 'STORAGE', 'COMMAND');
const [, relativePath] = /^git-upload-pack '\/?(.*)'$/.exec(command) ?? [];
if (relativePath === undefined) throw new Error(`can only upload-pack: ${command}`);

const registry = new SidechannelRegistry();
await using connection = await dialSidechannel(address, registry);
const request = { repository: { storageName, relativePath }, gitProtocol: process.env.GIT_PROTOCOL ?? '' };
await uploadPackWithSidechannel(connection, registry, process, request);
process.stdin.destroy(); // git keeps its end open
