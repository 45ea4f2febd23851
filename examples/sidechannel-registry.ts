// Registers a callback for one call. The server opens a byte stream for the call, and the callback
// uses it: here it sends a fetch request of protocol v2 and counts the bytes of the response.
//
// node examples/sidechannel-registry.ts unix:data/gitaly.socket default hello.git
import { dialSidechannel, SidechannelRegistry } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address, storageName, relativePath] = readArguments('ADDRESS', 'STORAGE', 'REPOSITORY');
const registry = new SidechannelRegistry();
await using connection = await dialSidechannel(address, registry);

const LS_REFS = '0014command=ls-refs\n00010009peel\n0000';
let bytes = 0;
const waiter = registry.register(async (sidechannel) => {
  sidechannel.write(LS_REFS);
  await sidechannel.closeWrite(); // closes the write side; reading continues until the server closes
  for await (const chunk of sidechannel) bytes += chunk.length;
});
try {
  const request = { repository: { storageName, relativePath }, gitProtocol: 'version=2' };
  await connection.smartHttp.postUploadPackWithSidechannel(request, { metadata: waiter.metadata });
} finally {
  // always: waits for the callback and throws its error, or removes it if it never ran
  await waiter.close();
}
console.log(`${bytes > 4 ? 'references' : 'nothing'} came over the sidechannel`);
