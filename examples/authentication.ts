// Signs calls with the server's token, and shows the error of a wrong one.
//
// GITALY_TOKEN=secret node examples/authentication.ts unix:data/gitaly.socket
import { CallError, dial, tokenCredentials } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address] = readArguments('ADDRESS');
const token = process.env.GITALY_TOKEN ?? '';

await using connection = await dial(address, { token });
await connection.server.serverInfo({});
console.log('the token is right');

// The same with custom credentials. They are computed for each call, so a token may change while
// the connection is open.
let current = 'wrong';
const credentials = { metadata: () => tokenCredentials(current).metadata() };
await using changing = await dial(address, { credentials });
const refusal = await changing.server.serverInfo({}).catch((error: CallError) => error);
if (refusal instanceof CallError) console.log(refusal.code, refusal.message);

current = token;
await changing.server.serverInfo({});
console.log('and right again');
