// Prints the meaning of addresses without connecting, and calls the servers at the valid ones.
//
// node examples/address-formats.ts unix:data/gitaly.socket tcp://127.0.0.1:8075
//   dns:gitaly.internal:8075 nonsense
import { dial, GitalyError, parseAddress } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

for (const address of readArguments('ADDRESS', '[ADDRESS...]')) {
  if (address === undefined) continue;
  try {
    console.log(address, JSON.stringify(parseAddress(address)));
    // TLS options are used only for tls:// and dns+tls://. Trusted certificates: the system's,
    // SSL_CERT_FILE, SSL_CERT_DIR, or `ca`.
    await using connection = await dial(address, { retry: false, tls: { minVersion: 'TLSv1.3' } });
    await connection.health.check({}, { timeoutMs: 5000 });
    console.log('  is serving');
  } catch (error) {
    if (!(error instanceof GitalyError)) throw error;
    console.log(`  ${error.code}: ${error.message}`);
  }
}
