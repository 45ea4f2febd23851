import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { closed } from '#testkit/faults/closed';
import { frame, preface } from './http2-frames.ts';

const FLUSH_BYTES = 64 * 1024;

/** A connection that sends HTTP/2 frames unchanged and drops received data. */
export class RawConnection {
  readonly socket: Socket;
  #batch: Buffer[] = [];
  #batchBytes = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Opens a connection. @param settings sent after the preface, as `id, value` pairs. */
  static async open(
    address: string,
    ...settings: (readonly [id: number, value: number])[]
  ): Promise<RawConnection> {
    const socket = await connected(address);
    socket.resume();
    socket.write(preface(...settings));
    return new RawConnection(socket);
  }

  /** Reports whether the other side still accepts frames. */
  get isOpen(): boolean {
    return this.socket.writable && !this.socket.readableEnded;
  }

  send(type: number, flags: number, stream: number, payload?: Uint8Array): void {
    const bytes = frame(type, flags, stream, payload);
    this.#batch.push(bytes);
    this.#batchBytes += bytes.length;
  }

  /** Writes the queued frames; waits while the other side does not accept them. */
  async flush(): Promise<void> {
    if (this.#batch.length === 0 || !this.isOpen) return;
    const bytes = Buffer.concat(this.#batch);
    this.#batch = [];
    this.#batchBytes = 0;
    if (this.socket.write(bytes)) return;
    // `once` rejects on an error, as that of a connection that was cut.
    await Promise.race([once(this.socket, 'drain'), once(this.socket, 'close')]).catch(() => undefined);
  }

  /** Calls {@link flush} when enough is queued. */
  async flushLarge(): Promise<void> {
    if (this.#batchBytes >= FLUSH_BYTES) await this.flush();
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Opens a socket to `host:port` that tolerates a disconnect. */
export async function connected(address: string): Promise<Socket> {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve);
    void closed(socket).then(resolve); // floods may be disconnected
  });
  return socket;
}
