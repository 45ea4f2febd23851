import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import {
  type ObjectFacts,
  type ObjectStore,
  PAGE_OBJECTS,
  type PutCondition,
  type ReadFacts,
} from '#object-store/object-store';
import { openStore } from '#object-store/open-store';
import { putUnlessEmpty } from '#object-store/pieces';
import { MissingObjectError, PreconditionError, StoreError, UnchangedError } from '#object-store/store-error';

const { signal } = new AbortController();
const FOREIGN_KEYS = ['', '.', '..', '../a', '/a', 'a//b', 'a/', 'a/../b', 'a\nb', 'a\0b', 'x'.repeat(1025)];

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

async function* failing(): AsyncGenerator<Buffer> {
  yield Buffer.from('begun');
  throw new Error('the source failed');
}

export interface StoreKind {
  readonly name: string;
  readonly skip?: string | undefined;
  /** Opens an empty store. */
  readonly open: () => Promise<ObjectStore>;
  /** False for a server that checks a condition and stores in two steps: it gets one put at a time. */
  readonly isAtomic?: boolean;
  /** Behaviours of the service that its stand-in lacks. The tests of faults have them. */
  readonly lacks?: readonly string[];
}

type Work<T> = () => Promise<T>;
/** Runs puts of one key, at once if the server can decide between them. */
type Race = <T>(puts: readonly Work<T>[]) => Promise<PromiseSettledResult<T>[]>;

const atOnce: Race = (puts) => Promise.allSettled(puts.map((put) => put()));

async function inTurn<T>(puts: readonly Work<T>[]): Promise<PromiseSettledResult<T>[]> {
  const results: PromiseSettledResult<T>[] = [];
  for (const put of puts) results.push(...(await Promise.allSettled([put()])));
  return results;
}

/** The behaviour that all kinds of stores have in common. */
const CONTRACT: Readonly<Record<string, (store: ObjectStore, race: Race) => Promise<void>>> = {
  'objects are stored, read and replaced whole': async (store) => {
    await store.put('a/b/one', pieces('o', '', 'ne'), { signal });
    await store.put('a/empty', pieces(), { signal, sizeBytes: 0 });
    assert.deepEqual([await read(store, 'a/b/one'), await read(store, 'a/empty')], ['one', '']);

    await store.put('a/b/one', pieces('again'), { signal, sizeBytes: 5 });

    assert.equal(await read(store, 'a/b/one'), 'again');
  },

  'a part of an object is read by its range': async (store) => {
    await store.put('key', pieces('0123456789'), { signal });

    assert.equal(await read(store, 'key', { start: 3, length: 4 }), '3456');
    assert.equal(await read(store, 'key', { start: 8 }), '89');
    assert.equal(await read(store, 'key', { start: 8, length: 100 }), '89');
    assert.equal(await read(store, 'key', { start: 10 }), '');
    assert.equal(await read(store, 'key', { start: 2, length: 0 }), '');
  },

  'large objects are stored and read unchanged': async (store) => {
    const piece = Buffer.from(Array.from({ length: 300_007 }, (_, index) => index % 251));
    const many = async function* (): AsyncGenerator<Buffer> {
      for (let count = 0; count < 40; count++) yield piece;
    };

    await store.put('large', many(), { signal });

    const expected = Buffer.concat(Array.from({ length: 40 }, () => piece));
    assert.equal((await store.head('large', { signal }))?.sizeBytes, expected.length);
    assert.ok(expected.equals(Buffer.concat(await Array.fromAsync(store.get('large', { signal })))));
  },

  'objects that do not exist are missing': async (store) => {
    await store.put('a/b', pieces('b'), { signal });

    for (const key of ['none', 'a', 'a/b/c', 'a/c']) {
      await assert.rejects(read(store, key), MissingObjectError, key);
      assert.equal(await store.head(key, { signal }), undefined, key);
    }
    await store.delete(['none', 'a', 'a/b/c', 'a/c'], { signal });
    assert.deepEqual(await keys(store, ''), ['a/b']);
  },

  'the facts of an object are its size, time and version': async (store) => {
    const before = Date.now();
    await store.put('key', pieces('four'), { signal });
    const facts = await store.head('key', { signal });
    await store.put('key', pieces('FOUR'), { signal });
    const replaced = await store.head('key', { signal });

    assert.deepEqual([facts?.key, facts?.sizeBytes], ['key', 4]);
    const age = (facts?.modifiedMs ?? 0) - before;
    assert.ok(age > -5000 && age < 60_000, `${age} ms after the call began`);
    assert.notEqual(replaced?.version, facts?.version);
  },

  'a failed, aborted or wrong source changes nothing': async (store) => {
    await store.put('key', pieces('old'), { signal });
    const controller = new AbortController();
    const reason = new Error('no longer wanted');
    const aborted = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from('begun');
      controller.abort(reason);
      yield Buffer.from('more');
    };

    for (const key of ['key', 'new']) {
      await assert.rejects(store.put(key, failing(), { signal }), { message: 'the source failed' });
      await assert.rejects(store.put(key, aborted(), { signal: controller.signal }), reason);
      await assert.rejects(store.put(key, pieces('abc'), { signal, sizeBytes: 4 }), /4 bytes .* has 3/);
      await assert.rejects(store.put(key, pieces('abc'), { signal, sizeBytes: 2 }), /2 bytes .* has 3/);
    }

    assert.deepEqual(await keys(store, ''), ['key']);
    assert.equal(await read(store, 'key'), 'old');
  },

  'an aborted signal ends every call': async (store) => {
    await store.put('key', pieces('old'), { signal });
    const reason = new Error('no longer wanted');
    const options = { signal: AbortSignal.abort(reason) };

    await assert.rejects(Array.fromAsync(store.get('key', options)), reason);
    await assert.rejects(store.head('key', options), reason);
    await assert.rejects(Array.fromAsync(store.list('', options)), reason);
    await assert.rejects(store.delete(['key'], options), reason);
    await assert.rejects(store.put('key', pieces('new'), options), reason);
    assert.equal(await read(store, 'key'), 'old');
  },

  'an object is created only if there is none': async (store, race) => {
    const create = (text: string) => store.put('key', pieces(text), { signal, onlyIf: 'absent' });
    const results = await race(['a', 'b', 'c', 'd'].map((text) => () => create(text)));

    const failures = results.filter((result) => result.status === 'rejected');
    assert.equal(failures.length, 3);
    for (const { reason } of failures) assert.ok(reason instanceof PreconditionError, String(reason));
    const created = results.findIndex(({ status }) => status === 'fulfilled');
    assert.equal(await read(store, 'key'), 'abcd'[created]);
  },

  'an object is replaced only if it has not changed': async (store, race) => {
    await store.put('key', pieces('old'), { signal });
    const version = (await store.head('key', { signal }))?.version ?? '';
    const replace = (text: string) => store.put('key', pieces(text), { signal, onlyIf: { version } });

    const results = await race(['w', 'x', 'y', 'z'].map((text) => () => replace(text)));

    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    await assert.rejects(replace('late'), PreconditionError);
    assert.match(await read(store, 'key'), /^[w-z]$/);
    await store.delete(['key'], { signal });
    await assert.rejects(replace('gone'), PreconditionError);
    assert.deepEqual(await keys(store, ''), []);
  },

  'a put returns the version that reads and heads report': async (store) => {
    const versions: string[] = [];
    for (const text of ['one', 'two', '']) {
      const before = Date.now();
      const version = await store.put('key', pieces(text), { signal });
      const facts: ReadFacts[] = [];
      const onFacts = (each: ReadFacts): void => void facts.push(each);
      await Array.fromAsync(store.get('key', { signal, onFacts }));

      const head = await store.head('key', { signal });
      assert.deepEqual([version, facts.length, facts[0]?.version], [head?.version, 1, head?.version]);
      const age = (facts[0]?.modifiedMs ?? 0) - before;
      assert.ok(age > -5000 && age < 60_000, `${age} ms after the call began`);
      versions.push(version);
    }
    assert.equal(new Set(versions).size, 3);
    const onlyIf = { version: versions[2] ?? '' };
    const large = async function* (): AsyncGenerator<Buffer> {
      for (let count = 0; count < 12; count++) yield Buffer.alloc(1024 * 1024, count);
    };
    const version = await store.put('key', large(), { signal, onlyIf });
    assert.equal(version, (await store.head('key', { signal }))?.version);
  },

  'an object is read only if it has changed': async (store) => {
    const version = await store.put('key', pieces('one'), { signal });
    const readAgain = () => Array.fromAsync(store.get('key', { signal, unlessVersion: version }));

    await assert.rejects(readAgain(), UnchangedError);
    await store.put('key', pieces('two'), { signal });
    assert.equal(Buffer.concat(await readAgain()).toString(), 'two');
    await store.delete(['key'], { signal });
    await assert.rejects(readAgain(), MissingObjectError);
  },

  'a refused condition says whether the object is missing': async (store) => {
    const version = await store.put('key', pieces('one'), { signal });
    const put = (onlyIf: PutCondition) => store.put('key', pieces('two'), { signal, onlyIf });

    await assert.rejects(put('absent'), { name: 'PreconditionError', reason: 'changed' });
    await store.put('key', pieces('three'), { signal });
    await assert.rejects(put({ version }), { name: 'PreconditionError', reason: 'changed' });
    await store.delete(['key'], { signal });
    await assert.rejects(put({ version }), { name: 'PreconditionError', reason: /^(?:missing|changed)$/ });
    await put('absent'); // a deleted object is absent
  },

  'an object is deleted only if it has not changed': async (store) => {
    const version = await store.put('key', pieces('one'), { signal });
    const newer = await store.put('key', pieces('two'), { signal });

    await assert.rejects(store.deleteVersion('key', version, { signal }), PreconditionError);
    assert.equal(await read(store, 'key'), 'two');
    await store.deleteVersion('key', newer, { signal });
    assert.deepEqual(await keys(store, ''), []);
  },

  'folders are listed, without what is in them': async (store) => {
    for (const key of ['a/b/one', 'a/b/two', 'a/c c/x', 'a/d', 'a/e/f/g', 'ab/x', 'z'])
      await store.put(key, pieces('x'), { signal });
    const folders = async (prefix: string) =>
      (await Array.fromAsync(store.listFolders(prefix, { signal }))).flat();

    assert.deepEqual(await folders(''), ['a/', 'ab/']);
    assert.deepEqual(await folders('a/'), ['a/b/', 'a/c c/', 'a/e/']);
    assert.deepEqual(await folders('a/b/'), []);
    assert.deepEqual(await folders('none/'), []);
  },

  'objects are listed by prefix, in order': async (store) => {
    for (const key of ['ab', 'a/two', 'a/b/one', 'a.b', 'b']) await store.put(key, pieces('x'), { signal });

    assert.deepEqual(await keys(store, ''), ['a.b', 'a/b/one', 'a/two', 'ab', 'b']);
    assert.deepEqual(await keys(store, 'a/'), ['a/b/one', 'a/two']);
    assert.deepEqual(await keys(store, 'a/t'), ['a/two']);
    assert.deepEqual(await keys(store, 'a'), ['a.b', 'a/b/one', 'a/two', 'ab']);
    assert.deepEqual(await keys(store, 'none/'), []);
    const listed = (await Array.fromAsync(store.list('a/t', { signal }))).flat();
    assert.deepEqual(
      listed,
      [await store.head('a/two', { signal })].filter((facts) => facts !== undefined),
    );
  },

  'keys have any characters that are not control characters': async (store) => {
    const all = [
      'a b+c',
      'a%2Fb',
      'a../b',
      'a?b#c',
      'a\\b"c',
      "a'(b)!*",
      'ä/€/😀',
      'a&b=c;d',
      'a:b@c',
    ].sort();
    for (const key of all) await store.put(key, pieces(key), { signal });

    assert.deepEqual((await keys(store, '')).sort(), all);
    for (const key of all) assert.equal(await read(store, key), key);
    assert.deepEqual(await keys(store, 'a?b#'), ['a?b#c']);
    await store.delete(all, { signal });
    assert.deepEqual(await keys(store, ''), []);
  },

  'many objects are listed in pages, and deleted': async (store) => {
    const all = Array.from(
      { length: PAGE_OBJECTS + 5 },
      (_, index) => `many/${String(index).padStart(4, '0')}`,
    );
    for (let first = 0; first < all.length; first += 20)
      await Promise.all(all.slice(first, first + 20).map((key) => store.put(key, pieces('x'), { signal })));

    const pages = await Array.fromAsync(store.list('many/', { signal }));
    assert.deepEqual(
      pages.map((page) => page.length),
      [PAGE_OBJECTS, 5],
    );
    assert.deepEqual(pages.flat().map(keyOfFacts), all);
    await store.delete([...all.slice(1), 'none/at-all'], { signal });
    await store.delete([], { signal });

    assert.deepEqual(await keys(store, ''), all.slice(0, 1));
  },

  'keys that are not as objectKey returns them are refused': async (store) => {
    const refused = { code: 'INVALID_ARGUMENT' };
    for (const key of FOREIGN_KEYS) {
      await assert.rejects(read(store, key), refused, key);
      await assert.rejects(store.head(key, { signal }), refused, key);
      await assert.rejects(store.put(key, pieces('x'), { signal }), refused, key);
      await assert.rejects(store.delete([key], { signal }), refused, key);
      await assert.rejects(store.signedUrl(key, { signal, validMs: 1000 }), refused, key);
    }
    for (const prefix of ['../', '/', 'a//', 'a/../'])
      await assert.rejects(Array.fromAsync(store.list(prefix, { signal })), refused, prefix);
  },

  'nothing is stored without bytes by putUnlessEmpty': async (store) => {
    assert.equal(await putUnlessEmpty(store, 'empty', pieces('', ''), { signal }), 0);
    assert.equal(await putUnlessEmpty(store, 'full', pieces('', 'x', 'yz'), { signal }), 3);

    assert.deepEqual(await keys(store, ''), ['full']);
  },
};

const STAND_IN = 'the stand-in of the service ignores the condition';

/** Tests that a kind of store has the behaviour that all kinds have in common. */
export function testObjectStore({ name, skip, open, isAtomic = true, lacks = [] }: StoreKind): void {
  for (const [behaviour, work] of Object.entries(CONTRACT))
    test(`${name}: ${behaviour}`, { skip: lacks.includes(behaviour) ? STAND_IN : skip }, async () =>
      work(await open(), isAtomic ? atOnce : inTurn),
    );
}

async function read(
  store: ObjectStore,
  key: string,
  range: { start: number; length?: number } = { start: 0 },
): Promise<string> {
  return Buffer.concat(await Array.fromAsync(store.get(key, { signal, range }))).toString();
}

async function keys(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await Array.fromAsync(store.list(prefix, { signal }))).flat().map(keyOfFacts);
}

function keyOfFacts({ key }: ObjectFacts): string {
  return key;
}

/** Returns the error of a write to a bucket, whose URL was changed so that it must fail. */
export async function errorOfPut(address: string, change: (url: URL) => void): Promise<StoreError> {
  const url = new URL(address);
  change(url);
  const store = await openStore(url.href);
  try {
    await store.put('some/key', pieces('x'), { signal });
  } catch (error) {
    assert.ok(error instanceof StoreError, inspect(error));
    return error;
  }
  assert.fail('the call succeeded');
}
