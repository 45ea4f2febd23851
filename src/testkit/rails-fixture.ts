import type { Interceptor, Invocation } from '#client/call/call-types';
import { GitalyClient } from '#client/rails/index';
import { Metadata } from '#rpc/common/metadata';
import { startGitaly } from './start-gitaly.ts';

/** The user of the changes in tests. */
export const USER = {
  glId: 'user-1',
  glUsername: 'jane',
  name: Buffer.from('Jane Doe'),
  email: Buffer.from('jane@example.com'),
};

/**
 * Starts a server with a repository whose branches `main` and `topic` have changed the same line of
 * `README.md`, and a client that records what it sends.
 */
export async function arrangeServices() {
  const server = await startGitaly();
  const sent: Invocation[] = [];
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
    return next({ ...invocation, requests: recorded(invocation.requests) });
  };
  const client = new GitalyClient({
    storages: { default: { gitaly_address: server.address } },
    dialOptions: { interceptors: [recording] },
  });
  const repository = await server.createRepository();
  await repository.commit({ files: { 'README.md': 'hello\n', 'src/a.ts': 'a\n' } });
  await repository.commit({ files: { 'README.md': 'theirs\n' }, branch: 'topic', parents: ['main'] });
  await repository.commit({ files: { 'README.md': 'ours\n', 'src/b.ts': 'b\n' } });
  const { storageName, relativePath, glRepository = '' } = repository;
  return {
    client,
    server,
    repository,
    git: (...args: string[]) => repository.git(args),
    name: { storageName, relativePath, glRepository },
    sent,
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
