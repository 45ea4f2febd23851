import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import type { ObjectStore, PutCondition } from '#object-store/object-store';
import type { StoreObserver } from '#object-store/observed-store';
import { openStore } from '#object-store/open-store';
import type { PreconditionReason } from '#object-store/store-error';
import { type HttpFault, type HttpFaultProxy, startHttpFaultProxy } from '../faults/http-fault-proxy.ts';

const MIB = 1024 * 1024;
const { signal } = new AbortController();

/** A kind of bucket on a server of this machine. */
export interface FaultyKind {
  readonly name: string;
  readonly skip: string | false;
  readonly port: number | undefined;
  /** Creates a bucket. @returns its URL. */
  readonly createBucket: () => Promise<string> | undefined;
  /** Option of the URL with the address of the server, which a proxy replaces. */
  readonly addressOption: 'endpoint' | 'domain';
  /** Error of a service that is busy: its body and the end of our message. */
  readonly busy: { readonly body: string; readonly message: RegExp };
  /** A page of a list from which no next page can be requested. */
  readonly halfPage: string;
  /** A page whose next page is itself, if that is another one. */
  readonly samePage?: string;
  /** Response to credentials that have expired, and the error. */
  readonly expired: { readonly status: number; readonly body: string; readonly message: RegExp };
  /** Header with the version of an object. */
  readonly versionHeader: string;
  /** Bodies of refused requests by their status, and what a 409 says about the object. */
  readonly refusals: Readonly<Record<403 | 409 | 412, string>> & { readonly conflict: PreconditionReason };
}

interface Through {
  readonly proxy: HttpFaultProxy;
  /** The store behind the proxy, without faults. */
  readonly direct: ObjectStore;
  readonly store: ObjectStore;
  /** Returns the number of retries so far. */
  readonly retries: () => number;
}

type FaultOf = (line: string, request: IncomingMessage) => HttpFault | undefined;
type Start = (faultOf: FaultOf) => Promise<Through>;

async function* mebibytes(count: number): AsyncGenerator<Buffer> {
  for (let index = 0; index < count; index++) yield Buffer.alloc(MIB, index);
}

const isRead = (line: string): boolean => line.startsWith('GET /');

const FAULTS: Readonly<Record<string, (start: Start, kind: FaultyKind) => Promise<void>>> = {
  'a read is resumed where the connection broke': async (start) => {
    const cuts = [3 * MIB, 2 * MIB, 0, 0, MIB];
    const { proxy, direct, store, retries } = await start((line) => {
      const bytes = isRead(line) ? cuts.shift() : undefined;
      return bytes === undefined ? undefined : { cutAfterBytes: bytes };
    });
    await direct.put('key', mebibytes(9), { signal });

    const content = Buffer.concat(await Array.fromAsync(store.get('key', { signal })));

    assert.ok(content.equals(Buffer.concat(await Array.fromAsync(mebibytes(9)))));
    const ranges = proxy.requests.map((line) => /bytes=\d+-$/.exec(line)?.[0]);
    assert.deepEqual([ranges[0], ranges.length], [undefined, 6]);
    assert.equal(ranges.at(-1), `bytes=${6 * MIB}-`);
    assert.equal(retries(), 5);
  },

  'a read fails if the object is replaced in the meantime, or the connection breaks again and again': async (
    start,
  ) => {
    let fault: HttpFault | undefined = { cutAfterBytes: MIB };
    const { direct, store } = await start((line) => (isRead(line) ? fault : undefined));
    await direct.put('key', mebibytes(3), { signal });
    const pieces = store.get('key', { signal });
    await pieces.next();
    await direct.put('key', mebibytes(2), { signal });

    fault = undefined;
    await assert.rejects(Array.fromAsync(pieces), /get "key": (?:Precondition|condition|ConditionNotMet)/);
    fault = { cutAfterBytes: 0 };
    await assert.rejects(Array.fromAsync(store.get('key', { signal })), /get "key": ECONNRESET: /);
  },

  'a response with a wrong version ends a read that breaks, instead of mixing two objects': async (
    start,
    { versionHeader },
  ) => {
    let count = 0;
    const { direct, store } = await start((line) => {
      if (!isRead(line) || count++ > 0) return undefined;
      return { cutAfterBytes: MIB, headers: { [versionHeader]: versionHeader === 'etag' ? '"0x1"' : '1' } };
    });
    await direct.put('key', mebibytes(3), { signal });

    await assert.rejects(
      Array.fromAsync(store.get('key', { signal })),
      /get "key": (?:Precondition|condition|ConditionNotMet)/,
    );
  },

  'a call whose response is cut is made again': async (start) => {
    const cut = new Set<string>();
    const { store } = await start((line) => {
      if (cut.has(line)) return undefined;
      cut.add(line);
      return { cutAfterBytes: 10 };
    });

    await store.put('key', mebibytes(11), { signal });
    await store.put('small', mebibytes(1), { signal });
    const listed = (await Array.fromAsync(store.list('', { signal }))).flat();
    await store.delete(['key', 'small'], { signal });

    assert.deepEqual(
      listed.map(({ key, sizeBytes }) => [key, sizeBytes]),
      [
        ['key', 11 * MIB],
        ['small', MIB],
      ],
    );
    assert.equal(await store.head('key', { signal }), undefined);
  },

  'requests that the service refuses for a while are sent again, and counted': async (start, { busy }) => {
    const refusals = new Map<string, number>();
    let refused = 0;
    const { store, retries } = await start((line) => {
      const count = refusals.get(line) ?? 0;
      refusals.set(line, count + 1);
      if (count > 0) return undefined;
      refused++;
      return { status: refused % 2 === 0 ? 500 : 503, body: busy.body };
    });

    await store.put('small', mebibytes(1), { signal });
    await store.put('large', mebibytes(11), { signal });
    const large = await Array.fromAsync(store.get('large', { signal }));

    assert.ok(Buffer.concat(large).equals(Buffer.concat(await Array.fromAsync(mebibytes(11)))));
    assert.equal(retries(), refused);
  },

  'a service that is busy for too long ends a call with what to do, an abort ends it at once': async (
    start,
    { busy },
  ) => {
    const { store } = await start(() => ({ status: 503, body: busy.body }));
    const timeout = AbortSignal.timeout(50);

    await assert.rejects(store.put('key', mebibytes(1), { signal: timeout }), { name: 'TimeoutError' });
    await assert.rejects(store.head('key', { signal }), busy.message);
  },

  'a slow service is waited for, until the deadline': async (start) => {
    let delayMs = 100;
    const { store } = await start(() => ({ delayMs }));

    await store.put('key', mebibytes(1), { signal });
    delayMs = 60_000;

    for (const work of [
      (on: AbortSignal) => store.put('key', mebibytes(1), { signal: on }),
      (on: AbortSignal) => store.put('key', mebibytes(11), { signal: on }),
      (on: AbortSignal) => store.head('key', { signal: on }),
      (on: AbortSignal) => Array.fromAsync(store.get('key', { signal: on })),
      (on: AbortSignal) => Array.fromAsync(store.list('', { signal: on })),
      (on: AbortSignal) => store.delete(['key'], { signal: on }),
    ])
      await assert.rejects(work(AbortSignal.timeout(100)), { name: 'TimeoutError' });
  },

  'an abort ends a read whose connection has stalled': async (start) => {
    const { direct, store } = await start(() => ({ cutAfterBytes: MIB, isStalled: true }));
    await direct.put('key', mebibytes(3), { signal });
    const controller = new AbortController();
    const reason = new Error('no longer wanted');
    let bytes = 0;

    const reading = async (): Promise<void> => {
      for await (const piece of store.get('key', { signal: controller.signal })) {
        bytes += piece.length;
        if (bytes === MIB) setImmediate(() => controller.abort(reason));
      }
    };

    await assert.rejects(reading(), reason);
    assert.equal(bytes, MIB);
  },

  'half a page of a list is an error, not the end': async (start, { halfPage, samePage = halfPage }) => {
    for (const body of [halfPage, samePage]) {
      const { store } = await start(() => ({ status: 200, body }));

      const list = async (): Promise<void> => {
        let pages = 0;
        for await (const _ of store.list('', { signal })) assert.ok(pages++ < 3, 'the list does not end');
      };

      await assert.rejects(list(), /list "": BadResponse: .* part of the list/);
    }
  },

  'refused conditions are told apart, and a refusal for other reasons is no missing object': async (
    start,
    { refusals },
  ) => {
    let fault: HttpFault | undefined;
    const { store, direct } = await start(() => fault);
    const version = await direct.put('key', mebibytes(1), { signal });
    const put = (onlyIf: PutCondition) => store.put('key', mebibytes(1), { signal, onlyIf });
    const get = (options: object) => Array.fromAsync(store.get('key', { signal, ...options }));

    fault = { status: 409, body: refusals[409] };
    await assert.rejects(put('absent'), { name: 'PreconditionError', reason: refusals.conflict });
    fault = { status: 412, body: refusals[412] };
    await assert.rejects(put({ version }), { name: 'PreconditionError', reason: 'changed' });
    await assert.rejects(store.deleteVersion('key', version, { signal }), { name: 'PreconditionError' });
    fault = { status: 304, body: '' };
    await assert.rejects(get({ unlessVersion: version }), { name: 'UnchangedError' });
    fault = { status: 403, body: refusals[403] };
    await assert.rejects(get({}), { name: 'StoreError' });
  },

  'conditions are in the requests': async (start) => {
    const lines: string[] = [];
    const { store } = await start((line, { headers }) => {
      const { 'if-match': match = '', 'if-none-match': noneMatch = '' } = headers;
      lines.push(`${line} if-match=${match} if-none-match=${noneMatch}`);
      return undefined;
    });
    const version = await store.put('key', mebibytes(1), { signal, onlyIf: 'absent' });
    await Array.fromAsync(store.get('key', { signal, unlessVersion: version })).catch(() => {});
    await store.deleteVersion('key', version, { signal });

    const plain = version.replaceAll('"', '');
    assert.match(
      lines.find((line) => /^(?:PUT|POST) /.test(line)) ?? '',
      /if-none-match=\*|ifGenerationMatch=0/,
    );
    assert.ok(lines.find((line) => line.startsWith('GET '))?.includes(plain), lines.join('\n'));
    assert.ok(lines.find((line) => line.startsWith('DELETE '))?.includes(plain), lines.join('\n'));
  },

  'credentials that have expired are an error with what to do': async (start, { expired }) => {
    const { store } = await start(() => expired);

    await assert.rejects(store.put('key', mebibytes(1), { signal }), expired.message);
  },
};

/** Tests how a kind of bucket handles the faults of its service and of the network. */
export function testStoreFaults(kind: FaultyKind): void {
  for (const [behaviour, work] of Object.entries(FAULTS))
    test(`${kind.name}: ${behaviour}`, { skip: kind.skip }, async () => {
      const url = new URL((await kind.createBucket()) ?? '');
      const { addressOption, port = 0 } = kind;
      const at = async (to: number, observed?: StoreObserver): Promise<ObjectStore> => {
        const scheme = addressOption === 'endpoint' ? 'http://' : '';
        url.searchParams.set(addressOption, `${scheme}127.0.0.1:${to}`);
        return await openStore(url.href, { ...(observed && { observer: observed }) });
      };
      await using stack = new AsyncDisposableStack();
      let count = 0;
      const observer: StoreObserver = {
        ended: () => {},
        bytes: () => {},
        retried: (_kind, _operation, times) => {
          count += times;
        },
      };
      const start: Start = async (faultOf) => {
        const proxy = stack.use(await startHttpFaultProxy(port, faultOf));
        const store = await at(proxy.port, observer);
        return { proxy, store, direct: await at(port), retries: () => count };
      };
      await work(start, kind);
    });
}
