import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type FileHandle, open, rm, writeFile } from 'node:fs/promises';
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadCLibrary } from '#base/c-library';
import type { ByteRange } from '#base/network/byte-range';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { sendFile } from './send-file.ts';

const { signal } = new AbortController();
const SIZE = 20_000_000;
const skip = hasSendfile() ? false : 'koffi cannot be loaded';

function hasSendfile(): boolean {
  try {
    loadCLibrary();
    return process.platform === 'linux';
  } catch {
    return false;
  }
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** A file, and a server that answers with a range of it. */
class FileServer implements AsyncDisposable {
  readonly content = randomBytes(SIZE);
  readonly file: FileHandle;
  /** Rest of the range, or the error, of each response. */
  readonly results: (ByteRange | Error)[] = [];
  readonly #directory: string;
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  private constructor(directory: string, file: FileHandle) {
    this.#directory = directory;
    this.file = file;
  }

  static async start(): Promise<FileServer> {
    const directory = makeScratchDirectory('send-file');
    const path = join(directory, 'file');
    await writeFile(path, '');
    const served = new FileServer(directory, await open(path, 'r+'));
    await served.file.writeFile(served.content);
    served.#server.listen(0, '127.0.0.1');
    await once(served.#server, 'listening');
    return served;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // it listens on TCP
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { searchParams } = new URL(request.url ?? '', 'http://localhost');
    const start = Number(searchParams.get('start'));
    const range = { start, length: SIZE - start };
    response.setHeader('Content-Length', range.length);
    try {
      this.results.push(await sendFile(response, this.file, range, { signal }));
      response.end();
    } catch (error) {
      this.results.push(error as Error); // whatever it is, the test compares it
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await this.file.close();
    await rm(this.#directory, { recursive: true });
  }
}

test('a file arrives unchanged, from any start, over one connection', { skip }, async (context) => {
  await using served = await FileServer.start();
  const agent = new Agent({ keepAlive: true });
  context.after(() => agent.destroy());

  for (const start of [0, 1, SIZE - 300_000, 7_654_321]) {
    const request = get({ port: served.port, path: `/?start=${start}`, agent });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const body = Buffer.concat(await Array.fromAsync<Buffer>(response));

    assert.ok(body.equals(served.content.subarray(start)), `from ${start}`);
    await until(() => served.results.length > 0); // the client may have all bytes before
    assert.deepEqual(served.results.pop(), { start: SIZE, length: 0 });
    assert.equal(request.reusedSocket, start !== 0);
  }
});

test('a small range is left to be copied', { skip }, async () => {
  await using served = await FileServer.start();
  const start = SIZE - 1000;

  const socket = connect(served.port, '127.0.0.1');
  socket.write(`GET /?start=${start} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await until(() => served.results.length > 0);

  assert.deepEqual(served.results, [{ start, length: 1000 }]);
  socket.destroy();
});

test('a client that leaves ends the response, and no descriptor is left', { skip }, async () => {
  await using served = await FileServer.start();
  const before = descriptors();
  const socket = connect(served.port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'data');
  socket.pause();
  socket.destroy();

  await until(() => served.results.length > 0);

  assert.ok(served.results[0] instanceof Error, String(served.results[0]));
  await until(() => descriptors() === before);
});

test('a file that was cut off leaves the missing bytes, and does not wait for them', { skip }, async () => {
  await using served = await FileServer.start();
  await served.file.truncate(SIZE / 2);
  const socket = connect(served.port, '127.0.0.1').resume();
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');

  await until(() => served.results.length > 0);

  assert.deepEqual(served.results, [{ start: SIZE / 2, length: SIZE / 2 }]);
  socket.destroy();
});
