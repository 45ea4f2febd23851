import type { FileHandle } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { type CLibrary, loadCLibrary } from '#base/c-library';
import { Limit } from '#base/limits/limit';
import type { ByteRange } from '#base/network/byte-range';
import { descriptorOf } from '#base/streams/stream-handle';
import { UntilClosed } from './until-closed.ts';

/** Bytes that Node writes before each call of `sendfile`: when they are taken, the socket takes more. */
const PROBE_BYTES = 1024;
/** A call ends earlier when the buffer of the socket is full, on a loopback after some 2 MB. */
const MAX_CALL_BYTES = 8 * 1024 * 1024;
/** Below this size, copying is as cheap. */
const MIN_BYTES = 256 * 1024;
/** Calls in sequence that send nothing: the file system does not support it, or the client has left. */
const MAX_FAILURES = 3;
/** Of `fcntl`: duplicates a descriptor, which programs that are started do not inherit. */
const F_DUPFD_CLOEXEC = 1030;

interface Functions {
  readonly duplicate: (fd: number, command: number, least: number) => number;
  readonly close: (fd: number) => number;
  readonly sendfile: (to: number, from: number, offset: BigInt64Array, bytes: number) => Promise<number>;
}

/** koffi refuses more than 256 calls at a time, and the pool has four threads. */
const MAX_CALLS = 16;
const calls = new Limit<string>({ capacity: MAX_CALLS });

let functions: Functions | undefined | 'missing';

/**
 * Sends bytes of a file in a response with `sendfile(2)`, which copies nothing: a fifth of the CPU
 * time. Does not end the response.
 *
 * Needs Linux, koffi, and a connection without TLS.
 *
 * @returns the rest of the range, which is to be sent in another way.
 * @throws as `sendBody`.
 */
export async function sendFile(
  response: ServerResponse,
  file: FileHandle,
  range: ByteRange,
  { signal }: { readonly signal: AbortSignal },
): Promise<ByteRange> {
  const library = range.length < MIN_BYTES ? undefined : linuxFunctions();
  const { socket } = response;
  // Bytes cannot be written to an encrypted connection as they are.
  const fd = library && socket && !('encrypted' in socket) ? descriptorOf(socket) : undefined;
  if (library === undefined || fd === undefined || socket === null) return range;
  // Ours stays open during a call in another thread, when Node's may be closed and used again.
  const duplicate = library.duplicate(fd, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return range;
  try {
    using untilClosed = new UntilClosed(response);
    return await send(range, {
      probe: async (start, length) => {
        signal.throwIfAborted();
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, start);
        if (bytesRead > 0) await untilClosed.write(buffer.subarray(0, bytesRead));
        return bytesRead;
      },
      sendfile: async (start, length) => {
        const turn = await calls.acquire('', { signal });
        try {
          if (socket.writableLength > 0) return 0; // bytes that wait in Node come first
          const offset = new BigInt64Array([BigInt(start)]);
          return await library.sendfile(duplicate, file.fd, offset, Math.min(length, MAX_CALL_BYTES));
        } finally {
          turn.release();
        }
      },
    });
  } finally {
    library.close(duplicate);
  }
}

type SendPart = (start: number, length: number) => Promise<number>;

async function send(
  { start, length }: ByteRange,
  { probe, sendfile }: { readonly probe: SendPart; readonly sendfile: SendPart },
): Promise<ByteRange> {
  let left = length;
  const position = (): number => start + length - left;
  for (let failures = 0; left > 0 && failures < MAX_FAILURES; ) {
    const probed = await probe(position(), Math.min(PROBE_BYTES, left));
    if (probed === 0) break;
    left -= probed;
    const sent = left === 0 ? 0 : Math.max(0, await sendfile(position(), left));
    left -= sent;
    failures = sent === 0 ? failures + 1 : 0;
  }
  return { start: position(), length: left };
}

function linuxFunctions(): Functions | undefined {
  functions ??= loadFunctions() ?? 'missing';
  return functions === 'missing' ? undefined : functions;
}

function loadFunctions(): Functions | undefined {
  // Offsets have 32 bits on the others.
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return undefined;
  let library: CLibrary;
  try {
    library = loadCLibrary();
  } catch {
    return undefined; // bytes are copied then
  }
  return {
    duplicate: library.find('int fcntl(int fd, int command, int least)'),
    close: library.find('int close(int fd)'),
    sendfile: library.findAsync('int64_t sendfile(int to, int from, void *offset, size_t bytes)'),
  };
}
