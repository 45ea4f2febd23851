import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** A time server on the loopback interface. */
export interface TimeServer extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
}

/** Seconds from 1900, where NTP begins, to 1970. */
const NTP_EPOCH_SECONDS = 2_208_988_800;

/** Starts a time server whose clock is fast by some milliseconds. */
export async function startTimeServer(aheadMs = 0): Promise<TimeServer> {
  const socket = createSocket('udp4');
  socket.on('message', (request, from) => {
    const answer = Buffer.alloc(48);
    answer.writeUInt8(0x24, 0);
    answer.writeUInt8(1, 1);
    request.copy(answer, 24, 40, 48);
    for (const offset of [32, 40])
      answer.writeUInt32BE(Math.floor((Date.now() + aheadMs) / 1000) + NTP_EPOCH_SECONDS, offset);
    socket.send(answer, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(resolve)),
  };
}
