// Limits calls in time, cancels one, and sets their correlation id and trace.
//
// node examples/context.ts unix:data/gitaly.socket
import { CallError, dial, withCorrelationId, withTraceContext } from 'gitaly-ts/client';
import { readArguments } from './arguments.ts';

const [address] = readArguments('ADDRESS');
await using connection = await dial(address, { defaultTimeoutMs: 10_000 });

// Every call inside has the id and the trace, however deep it is made. The server's log shows the
// id.
const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
await withCorrelationId('request-1', () =>
  withTraceContext({ traceparent }, async () => {
    await connection.server.serverInfo({});
  }),
);

// A signal aborts a call; the reason is the cause of the error.
const abort = new AbortController();
const call = connection.server.diskStatistics({}, { signal: abort.signal });
abort.abort(new Error('the user went away'));
try {
  await call;
} catch (error) {
  if (!(error instanceof CallError)) throw error;
  console.log(error.code, error.cause);
}

// A timeout does the same; the server receives it and stops working too.
const code = await connection.server.serverInfo({}, { timeoutMs: 0 }).catch((error: CallError) => error.code);
console.log(code);
