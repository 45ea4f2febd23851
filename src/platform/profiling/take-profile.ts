import { type HeapProfiler, type Profiler, Session } from 'node:inspector/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { getHeapSpaceStatistics } from 'node:v8';
import { gzip } from 'node:zlib';
import { encodePprof, type ProfileFrame, type Sample } from './pprof-encoder.ts';

export type ProfileKind = 'profile' | 'heap';

const SAMPLING_MICROSECONDS = 10_000;
const HEAP_SAMPLING_BYTES = 64 * 1024;

/**
 * Profiles this process' main thread for a time. `profile` is CPU time by stack; `heap` is memory
 * that was allocated in this time and is still in use, by stack, and all other memory in use by the
 * engine's space. The engine's profiler is off before and after.
 *
 * @returns pprof's format, gzipped.
 * @throws the signal's reason when aborted.
 */
export async function takeProfile(kind: ProfileKind, seconds: number, signal: AbortSignal): Promise<Buffer> {
  const session = new Session();
  session.connect();
  try {
    const startedAtMs = Date.now();
    const { types, samples } = await (kind === 'heap' ? sampleHeap : sampleCpu)(session, () =>
      sleep(seconds * 1000, undefined, { signal }),
    );
    const profile = { types, samples, startedAtMs, durationMs: Date.now() - startedAtMs };
    return await promisify(gzip)(encodePprof(profile));
  } finally {
    session.disconnect();
  }
}

type Types = readonly (readonly [string, string])[];
type Sampling = (session: Session, wait: () => Promise<void>) => Promise<{ types: Types; samples: Sample[] }>;

const sampleCpu: Sampling = async (session, wait) => {
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLING_MICROSECONDS });
  await session.post('Profiler.start');
  await wait();
  const { profile } = await session.post('Profiler.stop');
  const nodes = new Map<number, Profiler.ProfileNode>(profile.nodes.map((node) => [node.id, node]));
  const samples: Sample[] = [];
  const [root] = profile.nodes;
  const open: { node: Profiler.ProfileNode; stack: readonly ProfileFrame[] }[] =
    root === undefined ? [] : [{ node: root, stack: [] }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node, stack } = next;
    const own = node === root ? stack : [frameOf(node.callFrame), ...stack];
    const hits = node.callFrame.functionName === '(idle)' ? 0 : (node.hitCount ?? 0);
    if (hits > 0) samples.push({ stack: own, values: [hits, hits * SAMPLING_MICROSECONDS * 1000] });
    for (const id of node.children ?? []) {
      const child = nodes.get(id);
      if (child !== undefined) open.push({ node: child, stack: own });
    }
  }
  const types = [
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ] as const;
  return { types, samples };
};

const sampleHeap: Sampling = async (session, wait) => {
  await session.post('HeapProfiler.startSampling', { samplingInterval: HEAP_SAMPLING_BYTES });
  await wait();
  const { profile } = await session.post('HeapProfiler.stopSampling');
  const samples: Sample[] = [];
  const open: { node: HeapProfiler.SamplingHeapProfileNode; stack: readonly ProfileFrame[] }[] = [
    { node: profile.head, stack: [] },
  ];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node, stack } = next;
    const own = node === profile.head ? stack : [frameOf(node.callFrame), ...stack];
    if (node.selfSize > 0) samples.push({ stack: own, values: [node.selfSize] });
    for (const child of node.children) open.push({ node: child, stack: own });
  }
  const sampledBytes = samples.reduce((sum, { values: [bytes = 0] }) => sum + bytes, 0);
  return { types: [['inuse_space', 'bytes']], samples: [...samples, ...otherMemory(sampledBytes)] };
};

/**
 * Returns the memory in use as one stack for each space of the engine, without the bytes that were
 * sampled. A sample does not name its space, so each space is reduced in proportion.
 */
function otherMemory(sampledBytes: number): Sample[] {
  const spaces = getHeapSpaceStatistics();
  const usedBytes = spaces.reduce((sum, { space_used_size }) => sum + space_used_size, 0);
  const rest = Math.max(0, 1 - sampledBytes / usedBytes);
  // `external` contains the memory of array buffers.
  const { external, arrayBuffers } = process.memoryUsage();
  const parts = [
    ...spaces.map((space) => ({
      name: space.space_name,
      bytes: space.space_used_size * rest,
      in: '(V8 heap)',
    })),
    { name: 'array_buffers', bytes: arrayBuffers, in: '(outside of the V8 heap)' },
    { name: 'external', bytes: Math.max(0, external - arrayBuffers), in: '(outside of the V8 heap)' },
  ];
  return parts
    .filter(({ bytes }) => bytes >= 1)
    .map(({ name, bytes, in: parent }) => ({
      stack: [engineFrame(name), engineFrame(parent)],
      values: [bytes],
    }));
}

const engineFrame = (name: string): ProfileFrame => ({ name, file: '', line: 0 });

function frameOf({ functionName, url, lineNumber }: Profiler.ProfileNode['callFrame']): ProfileFrame {
  return { name: functionName || '(anonymous)', file: url, line: lineNumber + 1 };
}
