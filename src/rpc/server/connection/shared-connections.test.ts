import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { until } from '#testkit/until';
import { Listener } from './listener.ts';

for (const isTakenBack of [false, true])
  test(`a connection that is ${isTakenBack ? 'taken back' : 'kept'} is read at once`, async (context) => {
    let accepted = 0;
    let closed = 0;
    const listener = await Listener.listen(
      { transport: 'tcp', host: '127.0.0.1', port: 0 },
      {
        sharing: {
          role: 'supervisor',
          handOver: (_socket, _transport, takeBack) => {
            if (isTakenBack) setImmediate(takeBack);
            return isTakenBack;
          },
        },
        onConnection: (connection) => {
          accepted++;
          connection.on('error', () => {});
          connection.once('close', () => closed++);
        },
      },
    );
    context.after(() => listener.destroy());
    const client = connect(Number(listener.address.split(':').at(-1)), '127.0.0.1');
    await once(client, 'connect');
    await until(() => accepted === 1);

    client.resetAndDestroy();

    await until(() => closed === 1, 'the end of the connection');
    assert.equal(listener.connectionCount, 0);
  });
