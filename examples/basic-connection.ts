// Connects and prints the server's version.
//
// node examples/basic-connection.ts unix:data/gitaly.socket
import { dial } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address] = readArguments('ADDRESS');

// Nothing is open yet: the first call connects. Leaving the block closes the connection.
await using connection = await dial(address, { clientName: 'example' });

const { serverVersion, gitVersion, storageStatuses } = await connection.server.serverInfo(
  {},
  { timeoutMs: 5000 },
);
console.log(`Gitaly ${serverVersion}, git ${gitVersion}`);
for (const { storageName, writeable } of storageStatuses)
  console.log(`storage ${storageName}${writeable ? '' : ' (read-only)'}`);
