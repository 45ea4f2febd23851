// Shares connections between requests: one for each address and token, also for concurrent
// requests.
//
// node examples/pool.ts unix:data/gitaly.socket
import { Pool } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address] = readArguments('ADDRESS');

await using pool = new Pool();

async function handleRequest(token = ''): Promise<string> {
  const connection = await pool.dial(address, token);
  const { serverVersion } = await connection.server.serverInfo({});
  return serverVersion; // the connection stays open, because the pool owns it
}

const versions = await Promise.all(Array.from({ length: 20 }, () => handleRequest()));
console.log(`${versions.length} requests, ${pool.size} connection`);
