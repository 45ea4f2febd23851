// Uses a pool with a custom dialer that checks connections, and with options for all connections.
//
// node examples/pool-with-options.ts unix:data/gitaly.socket
import { type Dialer, dial, GitalyError, healthCheckDialer, Pool } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address] = readArguments('ADDRESS');

const logging: Dialer = async (place, options) => {
  console.log(`dialing ${place}`);
  return await dial(place, options);
};

await using pool = new Pool({
  dialer: healthCheckDialer(logging),
  dialOptions: {
    clientName: 'example',
    keepalive: { timeMs: 30_000 },
    retry: { maxAttempts: 2, codes: ['UNAVAILABLE', 'ABORTED'] },
  },
});

for (const place of [address, address, 'unix:/nowhere/gitaly.socket']) {
  try {
    const connection = await pool.dial(place);
    console.log(connection.state);
  } catch (error) {
    if (!(error instanceof GitalyError)) throw error;
    console.log(error.message);
  }
}
