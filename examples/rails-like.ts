// Serves a "request" whose calls are counted, so that a loop of calls is detected before it reaches
// production.
//
// node examples/rails-like.ts unix:data/gitaly.socket
import { GitalyClient, TooManyInvocationsError } from 'gitaly-ts/client/rails';
import { readArguments } from './arguments.ts';

const [gitaly_address] = readArguments('ADDRESS');
await using gitaly = new GitalyClient({
  storages: { default: { gitaly_address } },
  clientName: 'gitlab-web',
});

const ask = () => gitaly.call('default', (storage) => storage.server.serverInfo({}), { timeout: 'fast' });

await gitaly.run(
  async () => {
    await ask();
    console.log(`${gitaly.getRequestCount()} call, ${gitaly.queryTime()} s`);
    try {
      for (let i = 0; i < 100; i++) await ask();
    } catch (error) {
      if (!(error instanceof TooManyInvocationsError)) throw error;
      console.log(error.message.split('\n')[0]);
    }
  },
  { context: { username: 'jane' }, deadline: new Date(Date.now() + 60_000) },
);
