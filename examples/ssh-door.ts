// A Git server that people reach by SSH, each with a key of their own: clone, fetch and push, nothing else.
//
//   node examples/ssh-door.ts unix:/run/gitaly.socket ~/.ssh/authorized_keys
//   git clone ssh://git@127.0.0.1:2222/hello.git
import { once } from 'node:events';
import { authorizedKeysFile, openSshDoor, storageMapping } from 'gitaly-ts/gateway';

const [address, keys, port = '2222'] = process.argv.slice(2);
if (address === undefined || keys === undefined) {
  console.error('usage: node examples/ssh-door.ts ADDRESS AUTHORIZED_KEYS [PORT]');
  process.exit(2);
}

await using door = await openSshDoor({
  gitaly: { address },
  listen: { host: '127.0.0.1', port: Number(port) },
  mapping: storageMapping('default'),
  createOnPush: {}, // a push to a new name makes the repository
  hostKeyPath: `${keys}.host-key`, // made at the first start
  access: authorizedKeysFile(keys),
  onFailure: (error) => console.error('a request failed:', error),
});
console.log(`${door.url} (host key ${door.fingerprint})`);

await once(process, 'SIGTERM');
await door.close({ graceMs: 5000 });
