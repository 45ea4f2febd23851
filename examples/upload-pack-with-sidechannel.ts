// Like upload-pack.ts, with git's data on a sidechannel instead of in messages: current servers
// support it, and it is faster.
//
// GIT_SSH_COMMAND='node examples/upload-pack-with-sidechannel.ts unix:data/gitaly.socket'
//   GIT_SSH_VARIANT=simple git clone …
import { dialSidechannel, SidechannelRegistry, uploadPackWithSidechannel } from 'gitaly-ts/client';

const [address = '', storageName = '', command = ''] = process.argv.slice(2);
const [, relativePath] = /^git-upload-pack '\/?(.*)'$/.exec(command) ?? [];
if (relativePath === undefined) throw new Error(`can only upload-pack: ${command}`);

const registry = new SidechannelRegistry();
await using connection = await dialSidechannel(address, registry);
const request = { repository: { storageName, relativePath }, gitProtocol: process.env.GIT_PROTOCOL ?? '' };
await uploadPackWithSidechannel(connection, registry, process, request);
process.stdin.destroy(); // git keeps its end open
