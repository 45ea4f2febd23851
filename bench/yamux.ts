/**
 * Measures the speed and cost of one yamux stream: two processes, one Unix socket, 64 KiB writes,
 * compared with the same bytes over the socket alone. Prints a table; JSON with `--json FILE`.
 *
 *     node --conditions=source bench/yamux.ts
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { readMagic, SIDECHANNEL_MAGIC } from '#rpc/common/connection-magic';
import { confirmSidechannel, openSidechannel, readSidechannelId } from '#rpc/common/sidechannel';
import { YamuxSession } from '#rpc/common/yamux/session';
import { YAMUX_SERVER, YAMUX_SIDECHANNEL_CLIENT } from '#rpc/common/yamux/settings';

const MB = 1_000_000;
const TOTAL_BYTES = 2000 * MB;
const CHUNK = Buffer.alloc(64 * 1024, 'x');
const ROUNDS = 3;

interface Measured {
  mbPerSecond: number;
  sendCpuMsPerMb: number;
  receiveCpuMsPerMb: number;
}

/** Returns the CPU time of this process in milliseconds. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function send(stream: Duplex): Promise<void> {
  for (let sent = 0; sent < TOTAL_BYTES; sent += CHUNK.length)
    if (!stream.write(CHUNK)) await once(stream, 'drain');
  stream.end();
}

async function receive(stream: Duplex): Promise<void> {
  stream.resume();
  await once(stream, 'end');
}

/** Runs the other process: connects, receives once, reports its CPU time. */
async function child(path: string, kind: string): Promise<void> {
  const socket = connect(path);
  await once(socket, 'connect');
  const start = cpuMs();
  if (kind === 'socket') {
    await receive(socket);
  } else {
    const isSidechannel = kind === 'sidechannel';
    const session = new YamuxSession(
      socket,
      isSidechannel ? YAMUX_SIDECHANNEL_CLIENT : { role: 'client', maxStreamWindowBytes: Number(kind) },
    );
    const stream = await session.accept();
    if (stream === undefined) throw new Error('no stream');
    if (isSidechannel) {
      await readMagic(stream, [SIDECHANNEL_MAGIC]);
      await readSidechannelId(stream);
    }
    const reader = isSidechannel ? await confirmSidechannel(stream) : stream;
    await receive(reader);
    reader.end();
  }
  process.send?.(cpuMs() - start);
  process.disconnect?.();
}

async function open(socket: Socket, kind: string): Promise<Duplex> {
  if (kind === 'socket') return socket;
  const session = new YamuxSession(socket, YAMUX_SERVER);
  return kind === 'sidechannel' ? await openSidechannel(session, 0n) : await session.open();
}

async function measure(kind: string): Promise<Measured> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-yamux-'));
  const server = createServer().listen(join(directory, 's'));
  const far = fork(import.meta.filename, ['child', join(directory, 's'), kind]);
  const [socket]: Socket[] = await once(server, 'connection');
  if (socket === undefined) throw new Error('no connection');
  const stream = await open(socket, kind);

  const [startMs, startCpuMs] = [performance.now(), cpuMs()];
  const report = once(far, 'message');
  await send(stream);
  const [farCpuMs]: number[] = await report;
  const seconds = (performance.now() - startMs) / 1000;
  const mb = TOTAL_BYTES / MB;
  const result = {
    mbPerSecond: mb / seconds,
    sendCpuMsPerMb: (cpuMs() - startCpuMs) / mb,
    receiveCpuMsPerMb: (farCpuMs ?? 0) / mb,
  };

  socket.destroy();
  server.close();
  rmSync(directory, { recursive: true, force: true });
  return result;
}

async function main(): Promise<void> {
  const kinds = {
    'bare socket': 'socket',
    'yamux, window 256 KiB': String(256 * 1024),
    'yamux, window 16 MiB': String(16 * 1024 * 1024),
    'sidechannel, server to client': 'sidechannel',
  };
  const results: Record<string, Measured> = {};
  for (const [name, kind] of Object.entries(kinds)) {
    const rounds: Measured[] = [];
    for (let round = 0; round < ROUNDS; round += 1) rounds.push(await measure(kind));
    const [, median] = rounds.sort((a, b) => a.mbPerSecond - b.mbPerSecond);
    if (median !== undefined) results[name] = median;
  }
  console.table(Object.fromEntries(Object.entries(results).map(([name, result]) => [name, rounded(result)])));
  const json = process.argv.indexOf('--json');
  if (json > 0)
    writeFileSync(process.argv[json + 1] ?? 'yamux.json', `${JSON.stringify(results, undefined, 2)}\n`);
}

function rounded({ mbPerSecond, sendCpuMsPerMb, receiveCpuMsPerMb }: Measured): Measured {
  return {
    mbPerSecond: Math.round(mbPerSecond),
    sendCpuMsPerMb: Number(sendCpuMsPerMb.toFixed(3)),
    receiveCpuMsPerMb: Number(receiveCpuMsPerMb.toFixed(3)),
  };
}

const [, , role, path, kind] = process.argv;
if (role === 'child') await child(path ?? '', kind ?? '');
else await main();
