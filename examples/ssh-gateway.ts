// A Git server for users with SSH keys: clone, fetch and push, nothing else.
//
// node examples/ssh-gateway.ts unix:/run/gitaly.socket ~/.ssh/authorized_keys
// git clone ssh://git@127.0.0.1:2222/hello.git
import { once } from 'node:events';
import { authorizedKeysFile, startSshGateway, storageMapping } from 'gitaly-ts/gateway';
import { readArguments } from './arguments.ts';

const [address, keys, port = '2222'] = readArguments('ADDRESS', 'AUTHORIZED_KEYS', '[PORT]');

await using gateway = await startSshGateway({
  gitaly: { address },
  listen: { host: '127.0.0.1', port: Number(port) },
  mapping: storageMapping('default'),
  createOnPush: {}, // a push to a new name creates the repository
  hostKeyPath: `${keys}.host-key`, // generated at the first start
  access: authorizedKeysFile(keys),
  onFailure: (error) => console.error('a request failed:', error),
});
console.log(`${gateway.url} (host key ${gateway.fingerprint})`);

await once(process, 'SIGTERM');
await gateway.close({ graceMs: 5000 });
