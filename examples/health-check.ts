// Dials and checks at once, so that a wrong address or token fails here and not at the first call.
//
// node examples/health-check.ts unix:data/gitaly.socket
import { dial, GitalyError, healthCheckDialer } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address] = readArguments('ADDRESS');
const checkedDial = healthCheckDialer(); // wraps `dial`, or any other dialer, also one with a health check

try {
  await using connection = await checkedDial(address, { signal: AbortSignal.timeout(5000), retry: false });
  console.log(`${connection.address} is healthy`);
} catch (error) {
  if (!(error instanceof GitalyError)) throw error;
  console.log(`not healthy: ${error.code} ${error.message}`);
  process.exitCode = 1;
}

// Without a custom dialer: wait until a call could start at once, and check.
await using patient = await dial(address);
const isReady = await patient.waitForReady({ timeoutMs: 1000 }).then(
  () => true,
  () => false,
);
console.log(isReady ? patient.state : `still ${patient.state} after a second`);
