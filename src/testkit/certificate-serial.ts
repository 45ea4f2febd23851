import { once } from 'node:events';
import { connect } from 'node:tls';

/**
 * Returns the serial number of the certificate that a new connection gets.
 *
 * @param address `host:port`
 */
export async function certificateSerial(address: string): Promise<string> {
  const { hostname: host, port } = new URL(`tls://${address}`);
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}
