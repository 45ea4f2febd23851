// Fails at once where waiting would not help: no such socket, connection refused, a certificate that is not trusted.
//
//   node examples/fail-on-non-temporary-errors.ts unix:/no/such.socket
import { dial, GitalyError } from 'gitaly-ts/client';

const [address = ''] = process.argv.slice(2);
try {
  // Waits for the connection; what may pass by itself (a time-out, too many open files) is tried again until the signal ends it.
  const signal = AbortSignal.timeout(10_000);
  await using connection = await dial(address, { failOnNonTemporaryDialError: true, signal });
  console.log(`connected: ${connection.state}`);
} catch (error) {
  if (!(error instanceof GitalyError)) throw error;
  console.log(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
