import {
  Client,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
  status as statusCodes,
} from '@grpc/grpc-js';

/**
 * Result of a call: encoded messages in order, the status, and `grpc-status-details-bin` if
 * present.
 */
export interface RawOutcome {
  readonly messages: Buffer[];
  readonly code: string;
  readonly message: string;
  readonly details: Buffer | undefined;
}

export interface RawCall {
  readonly path: string;
  readonly requests: readonly Buffer[];
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly metadata: Readonly<Record<string, string>>;
}

const CALL_LIMIT_MS = 20_000; // a hanging call is a failed case, not a hanging run

/** A grpc-js client of one address that sends and receives encoded messages. */
export class RawClient {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
    });
  }

  call(call: RawCall): Promise<RawOutcome> {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(call.metadata)) metadata.set(key, value);
    const same = (bytes: Buffer): Buffer => bytes;
    // Every kind of call is made as a bidirectional one: they are the same on the wire, and streams
    // of requests remain possible.
    const stream = this.#client.makeBidiStreamRequest(call.path, same, same, metadata, {
      deadline: Date.now() + CALL_LIMIT_MS,
    });
    return new Promise((resolve) => {
      const messages: Buffer[] = [];
      stream.on('data', (message: Buffer) => messages.push(message));
      stream.on('error', (_error: ServiceError) => undefined); // the status event has the same information
      stream.on('status', (status: StatusObject) => resolve(outcome(messages, status)));
      for (const request of call.requests) stream.write(request);
      stream.end();
    });
  }

  close(): void {
    this.#client.close();
  }
}

function outcome(messages: Buffer[], status: StatusObject): RawOutcome {
  const [details] = status.metadata.get('grpc-status-details-bin');
  return {
    messages,
    code: statusCodes[status.code] ?? String(status.code),
    message: status.details,
    details: Buffer.isBuffer(details) ? details : undefined,
  };
}
