/**
 * A process that logs in at an SSH gateway and floods it with global requests for a time, and with
 * at least some: `ssh-flooder.ts <host> <port> <milliseconds> <requests>`. It reads the responses,
 * as a client that does not is disconnected. Prints the number of requests.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { logIn, rawOf } from '#testkit/clients/ssh-gateway-fixture';

const REQUESTS_AT_ONCE = 2000;
const MAX_QUEUED_BYTES = 4 << 20;

const [host = '', port, ms, least] = process.argv.slice(2);
await using client = await logIn({ host, port: Number(port) });
const { _protocol: protocol, _sock: socket } = rawOf(client);
const untilMs = performance.now() + Number(ms);
let requests = 0;
while ((performance.now() < untilMs || requests < Number(least)) && !socket.destroyed) {
  if (socket.writableLength < MAX_QUEUED_BYTES)
    for (let i = 0; i < REQUESTS_AT_ONCE; i++, requests++) protocol.ping();
  await nextTurn();
}
console.log(requests);
process.exit(0);
