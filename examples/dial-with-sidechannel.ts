// Uses one connection for ordinary calls and for calls with sidechannels, here a smart HTTP fetch.
//
// node examples/dial-with-sidechannel.ts unix:data/gitaly.socket default hello.git < request-body >
//   response-body
import { dialSidechannel, postUploadPack, SidechannelRegistry } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address, storageName, relativePath] = readArguments('ADDRESS', 'STORAGE', 'REPOSITORY');
const repository = { storageName, relativePath };

// One registry may serve any number of connections and calls.
const registry = new SidechannelRegistry();
await using connection = await dialSidechannel(address, registry, { maxStreamWindowBytes: 1 << 20 });

const { exists } = await connection.repository.repositoryExists({ repository });
if (!exists) throw new Error(`there is no ${relativePath}`);

const io = { stdin: process.stdin, stdout: process.stdout };
const statistics = await postUploadPack(connection, registry, io, { repository, gitProtocol: 'version=2' });
console.error(`${statistics?.packets} packets asked`);
