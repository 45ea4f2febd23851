import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Address of a listener: `unix:<path>`, or `host:port`. */
export type Place = string;

/** Time and manner of the server's loss of its client. */
export interface Cut {
  /** Bytes of this direction that pass, over all connections; what is beyond them does not. */
  readonly direction: 'to server' | 'to client';
  readonly bytes: number;
  /** `fin`: the client ends its half and reads on for a moment; `rst`: the connection is gone. */
  readonly how: 'fin' | 'rst';
}

/** Bytes of a conversation. */
export type Traffic = Readonly<Record<Cut['direction'], number>>;

/** Time for which the server's bytes are read after the client's half has ended. */
const READ_ON_MS = 50;

/** A proxy between real clients and a server that cuts the connection at any byte. */
export class CuttingProxy implements AsyncDisposable {
  /** Address for clients, of the same kind as the server's. */
  readonly place: Place;
  readonly #target: Place;
  readonly #server: Server;
  readonly #directory: string;
  readonly #open = new Set<Socket>();
  #cut: Cut | undefined;
  #isCut = false;
  #wasCut = new AbortController();
  #traffic = { 'to server': 0, 'to client': 0 };

  private constructor(target: Place, server: Server, place: Place, directory: string) {
    this.#target = target;
    this.#server = server;
    this.place = place;
    this.#directory = directory;
    server.on('connection', (near: Socket) => this.#join(near));
  }

  static async start(target: Place): Promise<CuttingProxy> {
    const directory = mkdtempSync(join(tmpdir(), 'cutting-proxy-'));
    const server = createServer({ allowHalfOpen: true });
    const isUnix = target.startsWith('unix:');
    if (isUnix) server.listen(join(directory, 's'));
    else server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const place = typeof address === 'object' ? `127.0.0.1:${address?.port}` : `unix:${address}`;
    return new CuttingProxy(target, server, place, directory);
  }

  /**
   * Begins to count anew, and cuts when it is time; without a cut all passes.
   *
   * @returns a signal that aborts a moment after the cut.
   */
  arm(cut: Cut | undefined): AbortSignal {
    this.#wasCut = new AbortController();
    this.#cut = cut;
    this.#isCut = false;
    this.#traffic = { 'to server': 0, 'to client': 0 };
    return this.#wasCut.signal;
  }

  /** The traffic since {@link arm}. */
  get traffic(): Traffic {
    return { ...this.#traffic };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #join(near: Socket): void {
    // Who tries again after the cut finds nobody.
    if (this.#isCut) {
      near.destroy();
      return;
    }
    const far = dial(this.#target);
    for (const socket of [near, far]) {
      this.#open.add(socket);
      socket.on('error', () => {}); // the other end learns of it by the close
      socket.on('close', () => this.#open.delete(socket));
    }
    this.#pass(near, far, 'to server', far);
    this.#pass(far, near, 'to client', far);
    near.on('close', () => this.#isCut || far.destroy());
    far.on('close', () => near.destroy());
    far.once('connect', () => this.#cutWhenDue(far, 'to server'));
  }

  #pass(from: Socket, to: Socket, direction: Cut['direction'], far: Socket): void {
    from.on('data', (chunk: Buffer) => {
      if (this.#isCut) return;
      const left = this.#left(direction);
      const passed = chunk.subarray(0, left);
      this.#traffic[direction] += passed.length;
      if (passed.length > 0 && !to.destroyed && !to.writableEnded) to.write(passed);
      this.#cutWhenDue(far, direction);
    });
    from.on('end', () => to.end());
  }

  #left(direction: Cut['direction']): number {
    const cut = this.#cut;
    return cut?.direction === direction ? cut.bytes - this.#traffic[direction] : Number.POSITIVE_INFINITY;
  }

  #cutWhenDue(far: Socket, direction: Cut['direction']): void {
    const cut = this.#cut;
    if (cut === undefined || this.#isCut || cut.direction !== direction || this.#left(direction) > 0) return;
    this.#isCut = true;
    const wasCut = this.#wasCut;
    setTimeout(() => wasCut.abort(), READ_ON_MS);
    for (const socket of this.#open) if (socket !== far) socket.destroy();
    if (cut.how === 'fin') {
      far.removeAllListeners('data').resume().end();
      setTimeout(() => far.destroy(), READ_ON_MS);
    } else if (this.#target.startsWith('unix:')) {
      far.destroy(); // what it has not read becomes a reset
    } else {
      far.resetAndDestroy();
    }
  }
}

function dial(place: Place): Socket {
  if (place.startsWith('unix:')) return connect({ path: place.slice('unix:'.length), allowHalfOpen: true });
  const [host = '', port = ''] = place.split(/:(?=\d+$)/);
  return connect({ host, port: Number(port), allowHalfOpen: true });
}
