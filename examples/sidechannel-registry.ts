// Registers a callback for one call: the server opens a byte stream beside the call, and the callback talks over it. Here it
// sends a fetch request of protocol v2 and counts the bytes of the answer.
//
//   node examples/sidechannel-registry.ts unix:data/gitaly.socket default hello.git
import { dialSidechannel, SidechannelRegistry } from 'gitaly-ts/client';

const [address = '', storageName = '', relativePath = ''] = process.argv.slice(2);
const registry = new SidechannelRegistry();
await using connection = await dialSidechannel(address, registry);

const LS_REFS = '0014command=ls-refs\n00010009peel\n0000';
let bytes = 0;
const waiter = registry.register(async (sidechannel) => {
  sidechannel.write(LS_REFS);
  await sidechannel.closeWrite(); // nothing more from here; reading goes on until the server closes
  for await (const chunk of sidechannel) bytes += chunk.length;
});
try {
  const request = { repository: { storageName, relativePath }, gitProtocol: 'version=2' };
  await connection.smartHttp.postUploadPackWithSidechannel(request, { metadata: waiter.metadata });
} finally {
  await waiter.close(); // always: waits for the callback and throws its error, or takes it out when it never ran
}
console.log(`${bytes > 4 ? 'references' : 'nothing'} came over the sidechannel`);
