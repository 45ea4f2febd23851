// Observes every call: its name, its time, its responses and its status.
//
// node examples/interceptors.ts unix:data/gitaly.socket
import { CallError, dial, type Interceptor, wrapResponses } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address] = readArguments('ADDRESS');

const watching: Interceptor = (invocation, next) => {
  const { method, options } = invocation;
  const call = next({ ...invocation, options: { ...options, metadata: { 'x-request-kind': 'example' } } });
  return wrapResponses(call, async function* (responses) {
    let count = 0;
    try {
      for await (const response of responses) {
        count++;
        yield response;
      }
      console.log(`${method.name}: ${count} responses`);
    } catch (error) {
      console.log(`${method.name}: ${error instanceof CallError ? error.code : error}`);
      throw error;
    }
  });
};

await using connection = await dial(address, { interceptors: [watching] });
await connection.server.serverInfo({});
await connection.ref.refExists({}).catch(() => {});
