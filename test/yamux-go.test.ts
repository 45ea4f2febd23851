import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { YamuxSession } from '#rpc/common/yamux/session';
import type { YamuxOptions } from '#rpc/common/yamux/settings';
import type { YamuxStream } from '#rpc/common/yamux/stream';
import { slowly } from '#testkit/faults/slowly';
import { goProgram } from '#testkit/programs/go-program';
import { steady, until } from '#testkit/until';

const MIB = 1024 * 1024;

/** One line of JSON that the Go side prints at its end. */
interface GoResult {
  bytes: number;
  hashes: string[];
  error: string;
  warnings: string[];
  accepted: number;
}

interface GoPeer extends AsyncDisposable {
  readonly session: YamuxSession;
  readonly process: ChildProcess;
  /** Result of the Go side when it is done. */
  readonly result: Promise<GoResult>;
}

const program = await goProgram(new URL('./yamux-go/', import.meta.url).pathname);
const skip = program === undefined ? 'Go is not installed: not tested against the original yamux' : false;

/**
 * Starts the Go side and our side of one session on a Unix socket. Flags: see yamux-go/main.go.
 */
async function startPeer(
  role: 'client' | 'server',
  flags: readonly string[],
  options: Partial<YamuxOptions> = {},
): Promise<GoPeer> {
  const directory = await mkdtemp(join(tmpdir(), 'yamux-go-'));
  const server = createServer();
  server.listen(join(directory, 's'));
  await once(server, 'listening');
  const goRole = role === 'client' ? 'server' : 'client';
  const child = spawn(program ?? '', ['-socket', join(directory, 's'), '-role', goRole, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const result = text(child.stdout).then((output): GoResult => JSON.parse(output));
  result.catch(() => {}); // a killed process prints nothing
  const connected: [Socket] = (await once(server, 'connection')) as [Socket]; // the event's one argument
  const session = new YamuxSession(connected[0], { ...options, role });
  return {
    session,
    process: child,
    result,
    [Symbol.asyncDispose]: async () => {
      session.destroy();
      server.close();
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Byte i is i mod 251, as in yamux-go/main.go. */
function pattern(bytes: number): Readable {
  const block = Buffer.from(Array.from({ length: 251 * 512 }, (_, index) => index % 251));
  return Readable.from(
    (function* () {
      for (let left = bytes; left > 0; left -= block.length)
        yield left < block.length ? block.subarray(0, left) : block;
    })(),
    { objectMode: true, highWaterMark: 1 },
  );
}

async function hashOf(stream: AsyncIterable<Buffer>): Promise<{ bytes: number; hash: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, hash: hash.digest('hex') };
}

async function accept(session: YamuxSession): Promise<YamuxStream> {
  const stream = await session.accept();
  assert.ok(stream, 'the session ended');
  return stream;
}

for (const role of ['client', 'server'] as const) {
  for (const windowBytes of [256 * 1024, 16 * MIB]) {
    const sizes = ['-window', String(windowBytes)];
    const options = { maxStreamWindowBytes: windowBytes };
    const title = `as ${role} with windows of ${windowBytes / 1024} KiB`;

    test(`${title}, 128 MiB reach Go unchanged, and one FIN`, { skip }, async () => {
      await using peer = await startPeer(role, ['-do', 'sink', ...sizes], options);
      const stream = await peer.session.open();

      await pipeline(pattern(128 * MIB), stream, { end: true });
      stream.resume();
      await once(stream, 'close');
      await peer.session.close();

      const expected = await hashOf(pattern(128 * MIB));
      assert.deepEqual(
        await peer.result.then(({ bytes, hashes, error, warnings }) => ({ bytes, hashes, error, warnings })),
        {
          bytes: 128 * MIB,
          hashes: [expected.hash],
          error: '',
          warnings: [],
        },
      );
    });

    test(`${title}, 128 MiB arrive from Go unchanged`, { skip }, async () => {
      await using peer = await startPeer(
        role,
        ['-do', 'send', '-bytes', String(128 * MIB), ...sizes],
        options,
      );
      const stream = await accept(peer.session);

      const received = await hashOf(stream);
      stream.end();

      assert.deepEqual(received, await hashOf(pattern(128 * MIB)));
      assert.deepEqual(await peer.result.then(({ error, warnings }) => ({ error, warnings })), {
        error: '',
        warnings: [],
      });
    });
  }

  test(`as ${role}, 200 streams of Go at once are echoed`, { skip }, async () => {
    const flags = ['-do', 'exchange', '-streams', '200', '-bytes', String(MIB), '-chunk', '5000'];
    await using peer = await startPeer(role, flags);

    void (async () => {
      for await (const stream of peer.session) pipeline(stream, stream).catch(() => {});
    })();

    const { bytes, error, warnings } = await peer.result;
    assert.deepEqual({ bytes, error, warnings }, { bytes: 200 * MIB, error: '', warnings: [] });
  });

  test(`as ${role}, 200 streams of ours at once are echoed by Go`, { skip }, async () => {
    await using peer = await startPeer(role, ['-do', 'echo']);
    const expected = await hashOf(pattern(MIB));

    const received = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const stream = await peer.session.open();
        const echoed = readExactly(stream, MIB);
        for await (const chunk of pattern(MIB)) if (!stream.write(chunk)) await once(stream, 'drain');
        const { hash } = await hashOf(Readable.from([await echoed]));
        stream.end();
        return hash;
      }),
    );
    await peer.session.close();

    assert.deepEqual(new Set(received), new Set([expected.hash]));
    const { bytes, error, warnings } = await peer.result;
    assert.deepEqual({ bytes, error, warnings }, { bytes: 200 * MIB, error: '', warnings: [] });
  });

  test(`as ${role} with backlog 1 on both sides, openers wait for each other's ACK`, { skip }, async () => {
    await using peer = await startPeer(role, ['-do', 'sink', '-backlog', '1', '-delay', '5ms'], {
      acceptBacklog: 1,
    });

    const streams = await Promise.all(Array.from({ length: 20 }, () => peer.session.open()));
    await Promise.all(
      streams.map(async (stream) => {
        stream.end('x');
        stream.resume();
        await once(stream, 'close');
      }),
    );
    await peer.session.close();

    const { bytes, accepted, error, warnings } = await peer.result;
    assert.deepEqual(
      { bytes, accepted, error, warnings },
      { bytes: 20, accepted: 20, error: '', warnings: [] },
    );
  });

  test(`as ${role} with backlog 1, Go's opens wait until we accept`, { skip }, async () => {
    await using peer = await startPeer(role, ['-do', 'open', '-backlog', '1', '-streams', '20'], {
      acceptBacklog: 1,
    });

    for (let count = 0; count < 20; count += 1) {
      const stream = await accept(peer.session);
      await sleep(1); // Go opens the next one meanwhile, if it may
      stream.resume().end();
    }

    const { error, warnings } = await peer.result;
    assert.deepEqual({ error, warnings }, { error: '', warnings: [] });
  });

  test(`as ${role}, a slow Go reader receives everything and our memory stays small`, { skip }, async () => {
    const flags = ['-do', 'sink', '-chunk', String(256 * 1024), '-delay', '2ms'];
    await using peer = await startPeer(role, flags);
    const stream = await peer.session.open();
    let mostBuffered = 0;

    for await (const chunk of pattern(32 * MIB)) {
      if (!stream.write(chunk)) await once(stream, 'drain');
      mostBuffered = Math.max(mostBuffered, stream.writableLength);
    }
    stream.end();
    stream.resume();
    await once(stream, 'close');
    await peer.session.close();

    assert.equal((await peer.result).bytes, 32 * MIB);
    assert.ok(mostBuffered < 2 * MIB, `${mostBuffered} bytes were buffered`);
  });

  test(`as ${role}, a slow reader of ours stops Go at the window`, { skip }, async () => {
    await using peer = await startPeer(role, ['-do', 'send', '-bytes', String(8 * MIB)]);
    const stream = await accept(peer.session);

    const bufferedBytes = await steady(() => stream.readableLength);
    let bytes = 0;
    for await (const chunk of slowly(stream, 1)) bytes += chunk.length;
    stream.end();

    assert.ok(bufferedBytes <= 256 * 1024);
    assert.equal(bytes, 8 * MIB);
    assert.equal((await peer.result).error, '');
  });

  test(`as ${role}, pings of both sides are answered`, { skip }, async () => {
    await using peer = await startPeer(role, ['-do', 'ping']);
    await using silent = await startPeer(role, ['-do', 'sink']);

    assert.equal((await peer.result).error, '');
    assert.ok((await silent.session.ping()) >= 0);
  });

  test(`as ${role}, Go's go away stops only new streams`, { skip }, async () => {
    await using peer = await startPeer(role, ['-do', 'go-away']);

    await sleep(50); // the go away arrives
    await assert.rejects(peer.session.open(), { reason: 'remote-go-away' });
    assert.equal(peer.session.isEnded, false);
    await peer.session.close();

    assert.equal((await peer.result).error, '');
  });

  test(`as ${role}, after our go away the open streams of Go finish`, { skip }, async () => {
    await using peer = await startPeer(role, ['-do', 'exchange', '-bytes', String(MIB)]);
    const stream = await accept(peer.session);

    const closed = peer.session.close();
    await pipeline(stream, stream);
    await closed;

    const { bytes, error, warnings } = await peer.result;
    assert.deepEqual({ bytes, error, warnings }, { bytes: MIB, error: '', warnings: [] });
  });

  test(`as ${role}, a Go process that vanishes fails the reader`, { skip }, async () => {
    await using peer = await startPeer(role, ['-do', 'vanish']);
    const stream = await accept(peer.session);

    await assert.rejects(hashOf(stream), /session shutdown|EPIPE|ECONNRESET/);
    await peer.session.closed;
  });

  test(`as ${role}, a Go process that is stopped is disconnected after the write timeout`, {
    skip,
  }, async () => {
    await using peer = await startPeer(role, ['-do', 'sink', '-window', String(16 * MIB)], {
      connectionWriteTimeoutMs: 200,
    });
    const stream = await peer.session.open();
    await new Promise((resolve) => stream.write('x', resolve));
    await sleep(50); // Go has answered the first byte

    peer.process.kill('SIGSTOP');
    const failed = pipeline(pattern(16 * MIB), stream);

    await assert.rejects(failed, { reason: 'write-timeout' });
    assert.equal(peer.session.error?.message, 'connection write timeout');
  });

  test(`as ${role}, our FIN without Go's is followed by a RST after the close timeout`, {
    skip,
  }, async () => {
    // Go sends, and closes only after everything was accepted: we never read.
    await using peer = await startPeer(role, ['-do', 'send', '-bytes', String(MIB)], {
      streamCloseTimeoutMs: 50,
    });
    const stream = await accept(peer.session);

    stream.end();

    assert.match((await peer.result).error, /write: connection reset/);
  });

  test(`as ${role}, the last bytes before end and destroy reach Go`, { skip }, async () => {
    await using peer = await startPeer(role, ['-do', 'sink', '-delay', '20ms']);
    const stream = await peer.session.open();

    await new Promise<void>((resolve) => stream.end(Buffer.alloc(200_000), resolve));
    stream.destroy();
    await until(() => peer.session.streamCount === 0);
    await peer.session.close();

    const { bytes, error } = await peer.result;
    assert.deepEqual({ bytes, error }, { bytes: 200_000, error: '' });
  });
}

async function readExactly(stream: YamuxStream, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let left = bytes;
  while (left > 0) {
    const chunk: Buffer | null = stream.read();
    if (chunk === null) {
      await once(stream, 'readable');
      continue;
    }
    chunks.push(chunk);
    left -= chunk.length;
  }
  return Buffer.concat(chunks);
}
