import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** A name server on loopback whose responses the test sets. */
export interface NameServer extends AsyncDisposable {
  readonly port: number;
  /** Number of answered queries. */
  readonly questions: number;
  /**
   * IPv4 addresses of every name; empty: the name does not exist; `undefined`: the server reports a
   * failure.
   */
  addresses: readonly string[] | undefined;
}

const HEADER_BYTES = 12;
const TYPE_A = 1;
const NO_ERROR = 0;
const SERVER_FAILURE = 2;
const NO_SUCH_NAME = 3;

/** Starts a name server that implements the part of RFC 1035 that a resolver needs. */
export async function startNameServer(addresses: readonly string[]): Promise<NameServer> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const server = {
    port: socket.address().port,
    questions: 0,
    addresses: addresses as readonly string[] | undefined,
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, 'close');
    },
  };
  socket.on('message', (query, from) => {
    server.questions++;
    socket.send(answer(query, server.addresses), from.port, from.address);
  });
  return server;
}

function answer(query: Buffer, addresses: readonly string[] | undefined): Buffer {
  const nameEnd = query.indexOf(0, HEADER_BYTES);
  const question = query.subarray(HEADER_BYTES, nameEnd + 5);
  const isA = query.readUInt16BE(nameEnd + 1) === TYPE_A;
  const records = isA ? (addresses ?? []) : [];
  const code = addresses === undefined ? SERVER_FAILURE : addresses.length === 0 ? NO_SUCH_NAME : NO_ERROR;

  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | code, 2); // a response, recursion was available
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  const resources = records.map((address) => {
    const record = Buffer.from([0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    record.set(address.split('.').map(Number), HEADER_BYTES);
    return record;
  });
  return Buffer.concat([header, question, ...resources]);
}
