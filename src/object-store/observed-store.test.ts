import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { MemoryObjectStore } from './memory/memory-store.ts';
import { ObservedStore, type StoreObserver } from './observed-store.ts';

const { signal } = new AbortController();

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

function observed() {
  const ended: string[] = [];
  const seconds: number[] = [];
  const bytes = { read: 0, written: 0 };
  const observer: StoreObserver = {
    ended: (kind, operation, outcome, time) => {
      ended.push(`${kind} ${operation} ${outcome}`);
      seconds.push(time);
    },
    bytes: (_kind, direction, count) => {
      bytes[direction] += count;
    },
    retried: () => {},
  };
  return { store: new ObservedStore(new MemoryObjectStore(), 'mem', observer), ended, seconds, bytes };
}

test('operations are reported with their results, and bytes in both directions', async () => {
  const { store, ended, bytes } = observed();
  const aborted = { signal: AbortSignal.abort(new Error('no longer wanted')) };

  await store.put('key', pieces('four', 'four'), { signal });
  await assert.rejects(store.put('key', pieces('x'), { signal, onlyIf: 'absent' }));
  await Array.fromAsync(store.get('key', { signal }));
  await assert.rejects(Array.fromAsync(store.get('none', { signal })));
  await assert.rejects(store.head('key', aborted));
  await assert.rejects(store.head('../key', { signal }));
  await Array.fromAsync(store.list('', { signal }));
  await store.signedUrl('key', { signal, validMs: 1 });
  await store.delete(['key'], { signal });

  assert.deepEqual(ended, [
    'mem put ok',
    'mem put refused',
    'mem get ok',
    'mem get missing',
    'mem head aborted',
    'mem head error',
    'mem list ok',
    'mem sign ok',
    'mem delete ok',
  ]);
  assert.deepEqual(bytes, { read: 8, written: 9 });
});

test('the time of a slow reader does not count, and a read that is given up is reported', async () => {
  const { store, ended, seconds } = observed();
  await store.put('key', pieces('content'), { signal });

  for await (const _piece of store.get('key', { signal })) {
    await setTimeout(200); // the slow reader: twice what is allowed below
    break;
  }

  assert.equal(ended.at(-1), 'mem get ok');
  assert.ok((seconds.at(-1) ?? 1) < 0.1, String(seconds));
});
