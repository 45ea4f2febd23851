import type { Interceptor, Invocation } from '#client/call/call-types';
import { GitalyClient } from '#client/rails/index';
import { Metadata } from '#rpc/common/metadata';
import { startGitaly } from '../start-gitaly.ts';

/** Returns all items of a list of names or paths, as text. */
export async function toTexts(items: AsyncIterable<Uint8Array>): Promise<string[]> {
  return (await Array.fromAsync(items)).map((item) => Buffer.from(item).toString());
}

/**
 * Starts a server of two storages with a repository of three commits, and a client that records
 * what it sends. `README.md` is `hello` in the first commit. The branches `main` and `topic` have
 * changed it to the given texts.
 */
export async function arrangeServices({ main = 'ours\n', topic = 'theirs\n' } = {}) {
  const server = await startGitaly({ storages: ['default', 'other'] });
  const sent: Invocation[] = [];
  const sentAtMs: number[] = [];
  const firstRequests: unknown[] = [];
  async function* recorded(requests: Invocation['requests']) {
    let isFirst = true;
    for await (const request of requests) {
      if (isFirst) firstRequests.push(request);
      isFirst = false;
      yield request;
    }
  }
  const recording: Interceptor = (invocation, next) => {
    sent.push(invocation);
    sentAtMs.push(Date.now());
    return next({ ...invocation, requests: recorded(invocation.requests) });
  };
  const client = new GitalyClient({
    storages: { default: { gitaly_address: server.address }, other: { gitaly_address: server.address } },
    dialOptions: { interceptors: [recording] },
  });
  const repository = await server.createRepository();
  await repository.commit({ files: { 'README.md': 'hello\n', 'src/a.ts': 'a\n' } });
  await repository.commit({ files: { 'README.md': topic }, branch: 'topic', parents: ['main'] });
  await repository.commit({ files: { 'README.md': main, 'src/b.ts': 'b\n' } });
  const { storageName, relativePath, glRepository = '' } = repository;
  return {
    client,
    server,
    repository,
    git: (...args: string[]) => repository.git(args),
    name: { storageName, relativePath, glRepository },
    sent,
    /** Returns the time limit of each call in seconds, rounded. */
    seconds: () =>
      sent.map(({ method, options }, index) => [
        method.name,
        Math.round(((options.deadline?.getTime() ?? Number.NaN) - (sentAtMs[index] ?? 0)) / 1000),
      ]),
    /** The first request of each call. */
    firstRequests,
    /** Returns a header of the last call. */
    header: (key: string) => Metadata.from(sent.at(-1)?.options.metadata).get(key),
    /** Returns the methods that were called, and forgets them. */
    methods: () => sent.splice(0).map(({ method }) => method.name),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server.close();
    },
  };
}
