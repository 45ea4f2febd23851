/** A profile of the engine (`--cpu-prof`), as far as it is used here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
    readonly children?: readonly number[];
  }[];
  /** Microseconds of the monotonic clock. */
  readonly startTime: number;
  /** Ids of nodes. */
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

/** Parts of the server, by files of its own (below `src/`) and of Node. The first that matches counts. */
const PARTS: readonly (readonly [string, RegExp])[] = [
  ['HTTP/2', /^node:(?:internal\/)?http2/],
  ['socket', /^node:(?:net|tls|internal\/stream_base_commons|internal\/dgram)/],
  ['message', /\/src\/wire\/|@bufbuild\/protobuf|\/src\/rpc\/common\/grpc\//],
  ['log', /\/src\/(?:platform\/log|calls\/(?:logs|cost|burden-log|explain))/],
  [
    'metrics',
    /\/src\/(?:platform\/metrics|calls\/metrics|rpc\/server\/interceptors\/call-metrics)|prometheus/,
  ],
  ['interceptors', /\/src\/(?:rpc|calls|gitaly|platform)\//],
  ['git', /\/src\/git\/command\//],
  ['handler', /\/src\//],
];
/** Names of the work that the engine does for all parts. */
const ENGINE = new Map([
  ['(garbage collector)', 'garbage'],
  ['(program)', 'event loop'],
]);

/**
 * Returns the share of each part in the samples of a time, without idle time. A sample belongs to
 * the innermost function that is in a part; what Node does for one belongs to it, too.
 *
 * @param window begin and end, in microseconds of the monotonic clock
 */
export function partsOf(
  { nodes, startTime, samples, timeDeltas }: CpuProfile,
  [begin, end]: readonly [number, number],
): Map<string, number> {
  const parts = partOfNodes(nodes);
  const times = new Map<string, number>(
    ['socket', 'HTTP/2', 'message', 'interceptors', 'log', 'metrics', 'handler', 'git'].map((part) => [
      part,
      0,
    ]),
  );
  let [now, all] = [startTime, 0];
  for (const [index, id] of samples.entries()) {
    const delta = timeDeltas[index] ?? 0;
    now += delta;
    const part = parts.get(id);
    if (now < begin || now > end || part === undefined) continue;
    times.set(part, (times.get(part) ?? 0) + delta);
    all += delta;
  }
  return new Map([...times].map(([part, time]) => [part, time / all]));
}

/** Returns the part of each node; none for idle ones. */
function partOfNodes(nodes: CpuProfile['nodes']): Map<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parts = new Map<number, string>();
  const visit = (id: number, outer: string): void => {
    const node = byId.get(id);
    if (node === undefined) return;
    const { functionName, url } = node.callFrame;
    if (functionName === '(idle)') return;
    const part = ENGINE.get(functionName) ?? PARTS.find(([, pattern]) => pattern.test(url))?.[0] ?? outer;
    parts.set(id, part);
    for (const child of node.children ?? []) visit(child, part);
  };
  const [root] = nodes;
  if (root !== undefined) visit(root.id, 'event loop');
  return parts;
}
