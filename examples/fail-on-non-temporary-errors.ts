// Fails fast on permanent errors: no such socket, connection refused, an untrusted certificate.
//
// node examples/fail-on-non-temporary-errors.ts unix:/no/such.socket
import { dial, GitalyError } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address] = readArguments('ADDRESS');
try {
  // Waits for the connection; temporary failures (a timeout, too many open files) are retried until
  // the signal aborts.
  const signal = AbortSignal.timeout(10_000);
  await using connection = await dial(address, { failOnNonTemporaryDialError: true, signal });
  console.log(`connected: ${connection.state}`);
} catch (error) {
  if (!(error instanceof GitalyError)) throw error;
  console.log(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
