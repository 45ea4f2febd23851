import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { never, until } from '#testkit/until';
import { type Event, EventSchema, Event_Kind as Kind } from '#wire/gen/gitalyts/events/v1/events_pb';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { KEPT_MOVES, NodeEvents } from './node-events.ts';

const MAIN = 'refs/heads/main';

/** The change feed of a node, whose events a test sends. */
class ScriptedStream {
  /** Requests of the calls that watch. */
  readonly requests: unknown[] = [];
  #sequence = 0n;
  #next = Promise.withResolvers<{ events: Event[]; cursor: bigint }>();

  /** Sends the cursor of a feed without new events, as a feed does first. */
  async begin(cursor: bigint): Promise<void> {
    this.#sequence = cursor;
    await this.send();
  }

  /** Sends events, which get consecutive sequences. Resolves when they have been read. */
  async send(...events: Partial<Pick<Event, 'kind' | 'relativePath' | 'oldValue' | 'newValue'>>[]) {
    const sent = events.map((event) => {
      this.#sequence++;
      const { kind = Kind.REFERENCE } = event;
      const reference = Buffer.from(kind === Kind.REFERENCE ? MAIN : '');
      return create(EventSchema, { ...event, kind, reference, sequence: this.#sequence });
    });
    const { resolve } = this.#next;
    this.#next = Promise.withResolvers();
    resolve({ events: sent, cursor: this.#sequence });
    await turn();
  }

  fail(error: unknown): void {
    this.#next.reject(error);
  }

  get node(): GitalyNode {
    const watch = (request: unknown, { signal }: { readonly signal: AbortSignal }) => {
      this.requests.push(request);
      return this.#responses(signal);
    };
    // The feed uses these parts of a node.
    return { storage: 'gitaly-1', connection: { client: () => ({ watch }) } } as unknown as GitalyNode;
  }

  async *#responses(signal: AbortSignal) {
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(new GitalyError('CANCELLED', 'context canceled')));
    });
    aborted.catch(() => {});
    for (;;) yield await Promise.race([this.#next.promise, aborted]);
  }
}

function follow(options: { readonly retryMs?: number } = {}) {
  const stream = new ScriptedStream();
  const { node } = stream;
  const problems: unknown[] = [];
  const nodeEvents = new NodeEvents([node], { onProblem: (error) => problems.push(error), ...options });
  const sequences = (relativePath: string, oldValue: string | undefined, newValue: string | undefined) =>
    nodeEvents
      .between(node, relativePath, [{ reference: MAIN, oldValue, newValue }])[0]
      ?.map(({ sequence }) => sequence);
  return {
    stream,
    node,
    nodeEvents,
    problems,
    sequences,
    [Symbol.asyncDispose]: () => nodeEvents[Symbol.asyncDispose](),
  };
}

/** A move of `main`. */
const move = (relativePath: string, oldValue: string, newValue: string) => ({
  ...{ relativePath, oldValue, newValue },
});

test('the moves of a node are kept from the start on, by repository', async () => {
  await using followed = follow();
  const { node, nodeEvents, sequences, stream } = followed;
  assert.equal(nodeEvents.last(node), undefined);
  assert.equal(nodeEvents.isFollowed(node), true);

  await stream.send(move('a', '', '1'), move('a', '1', '2'));
  await stream.send(move('b', '5', '6'), move('a', '2', ''));

  assert.equal(nodeEvents.last(node), 4);
  assert.deepEqual(sequences('a', undefined, '2'), [1, 2]);
  assert.deepEqual(sequences('a', '1', undefined), [2, 4]);
  assert.deepEqual(sequences('b', '5', '6'), [3]);
  assert.equal(sequences('c', '1', '2'), undefined);
  const [request] = stream.requests as { readonly storageName: string; readonly fromNow: boolean }[];
  assert.deepEqual([request?.storageName, request?.fromNow], ['gitaly-1', true]);
});

// Symptom: after a restart of praefect, the writes that the previous one had acknowledged were
// reported in the order of the names of references.
test('the last event of a node is known from the start, and waited for', async () => {
  await using followed = follow();
  const { node, nodeEvents, stream } = followed;
  let hasStarted = false;
  const started = nodeEvents.started(node).then(() => {
    hasStarted = true;
  });
  await turn();
  assert.equal(hasStarted, false);

  await stream.begin(41n);

  await started;
  assert.equal(nodeEvents.last(node), 41);
});

test('a node without a feed is not waited for', async () => {
  await using followed = follow();
  const { node, nodeEvents, stream } = followed;

  stream.fail(new GitalyError('UNIMPLEMENTED', 'unknown service'));

  await nodeEvents.started(node);
  assert.equal(nodeEvents.last(node), undefined);
});

test('a feed that does not respond is waited for for two seconds', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  await using followed = follow();
  let hasStarted = false;
  const started = followed.nodeEvents.started(followed.node).then(() => {
    hasStarted = true;
  });
  context.mock.timers.tick(1999);
  await turn();
  assert.equal(hasStarted, false);

  context.mock.timers.tick(1);

  await started;
});

test('another change of a repository makes its moves unknown, one of all repositories all', async () => {
  await using followed = follow();
  const { sequences, stream } = followed;
  await stream.send(move('a', '1', '2'), move('b', '1', '2'), move('c', '1', '2'));

  await stream.send({ kind: Kind.REMOVED, relativePath: 'a' });
  assert.deepEqual([sequences('a', '1', '2'), sequences('b', '1', '2')], [undefined, [2]]);

  await stream.send({ kind: Kind.RESYNC, relativePath: '' });
  assert.deepEqual([sequences('b', '1', '2'), sequences('c', '1', '2')], [undefined, undefined]);
});

test('of a repository the last moves are kept', async () => {
  await using followed = follow();
  const { sequences, stream } = followed;
  const moves = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => move('a', `v${from + index}`, `v${from + index + 1}`));

  await stream.send(...moves(0, 2 * KEPT_MOVES));
  assert.deepEqual(sequences('a', 'v0', 'v1'), [1]);

  await stream.send(...moves(2 * KEPT_MOVES, 1));
  assert.equal(sequences('a', `v${KEPT_MOVES - 1}`, `v${KEPT_MOVES}`), undefined);
  assert.deepEqual(sequences('a', `v${KEPT_MOVES}`, `v${KEPT_MOVES + 1}`), [KEPT_MOVES + 1]);
});

test('moves are kept of the thousand repositories that had some last', async () => {
  await using followed = follow();
  const { sequences, stream } = followed;
  const others = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => move(`other-${from + index}`, '1', '2'));
  await stream.send(move('a', '1', '2'), ...others(0, 999));
  assert.deepEqual(sequences('a', '1', '2'), [1]);

  await stream.send(move('a', '2', '3'), ...others(999, 1));

  assert.equal(sequences('other-0', '1', '2'), undefined);
  assert.deepEqual(sequences('other-1', '1', '2'), [3]);
  assert.deepEqual(sequences('a', '1', '3'), [1, 1001]);
});

test('a node without a feed is not followed, and not asked again at once', async () => {
  await using followed = follow();
  const { node, nodeEvents, stream } = followed;
  await stream.send(move('a', '1', '2'));

  stream.fail(new GitalyError('UNIMPLEMENTED', 'unknown service'));

  await until(() => !nodeEvents.isFollowed(node));
  assert.equal(followed.sequences('a', '1', '2'), undefined, 'some may be missing');
  await never(() => stream.requests.length > 1);
});

// The feed of the node was not read again, and the rejection stopped praefect.
test('after an error that is not one of the node, which is reported, its feed is read again', async () => {
  await using followed = follow({ retryMs: 1 });
  const { nodeEvents, node, problems, stream } = followed;
  await stream.begin(1n);

  stream.fail(new TypeError('an odd event'));

  await until(() => stream.requests.length > 1 || problems.length > 1);
  assert.equal(String(problems[0]), 'TypeError: an odd event');
  await nodeEvents.started(node);
});
