import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { until } from '#testkit/until';
import { Acceptor, type AcceptorOptions } from './acceptor.ts';
import type { GatewaySharing, HandedOver } from './family.ts';

const LOCAL = { host: '127.0.0.1', port: 0 };

/** Only a socket that was not paused starts to flow when somebody listens. */
function echo(socket: Socket): void {
  socket.on('error', () => {}).on('data', (bytes) => void socket.write(bytes));
  socket.on('end', () => void socket.end());
}

/** An acceptor that answers each connection with what it sends, and refuses with one word. */
async function open(context: TestContext, options: Partial<AcceptorOptions> = {}) {
  const acceptor = new Acceptor({
    limits: { maxConnections: 10 },
    allowHalfOpen: true,
    sharing: undefined,
    serve: echo,
    refuse: (socket) => void socket.end('refused'),
    ...options,
  });
  const port = await acceptor.listen(LOCAL, () => {});
  context.after(async () => {
    acceptor.destroy();
    await acceptor.close();
  });
  const dial = async (): Promise<Socket> => {
    const socket = connect(port, LOCAL.host).on('error', () => {});
    context.after(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  return { acceptor, dial };
}

/** A supervisor that hands over what `takes` accepts. */
function supervisor(takes: boolean) {
  const handed: { socket: Socket; follow: HandedOver }[] = [];
  const sharing: GatewaySharing = {
    role: 'supervisor',
    handOver: (socket, follow) => {
      if (takes) handed.push({ socket, follow });
      return takes;
    },
  };
  return { handed, sharing };
}

const LIMITED = { limits: { maxConnections: 1 } };

test('a connection is served and counted until it is closed', async (context) => {
  const { acceptor, dial } = await open(context, LIMITED);
  const first = await dial();
  first.end('hello');
  assert.equal(await text(first), 'hello');
  await until(() => acceptor.connections === 0);

  const second = await dial();
  await until(() => acceptor.connections === 1);
  assert.equal(await text(await dial()), 'refused');
  assert.equal(acceptor.connections, 1);
  second.destroy();
  await until(() => acceptor.connections === 0);

  const third = await dial();
  third.end('again');
  assert.equal(await text(third), 'again');
});

test('closing waits for the connections that are served, and accepts no others', async (context) => {
  const { acceptor, dial } = await open(context);
  const socket = await dial();
  await until(() => acceptor.connections === 1);

  let isClosed = false;
  const closing = acceptor.close().then(() => {
    isClosed = true;
  });
  await assert.rejects(once(connect(socket.remotePort ?? 0, LOCAL.host), 'connect'), {
    code: 'ECONNREFUSED',
  });
  assert.equal(isClosed, false);
  socket.end('the rest');

  assert.equal(await text(socket), 'the rest');
  await closing;
});

test('destroying closes what is served', async (context) => {
  const { acceptor, dial } = await open(context);
  const socket = await dial();
  const closed = once(socket.resume(), 'close');
  await until(() => acceptor.connections === 1);

  acceptor.destroy();

  await closed;
  await acceptor.close();
});

test('a connection that another process takes counts until that has closed it', async (context) => {
  const { handed, sharing } = supervisor(true);
  const { acceptor, dial } = await open(context, { ...LIMITED, sharing });
  await dial();
  await until(() => handed.length === 1);
  assert.equal(acceptor.connections, 0, 'it is served elsewhere');
  assert.equal(await text(await dial()), 'refused');

  handed[0]?.follow.onClosed();

  await dial();
  await until(() => handed.length === 2);
});

test('a connection that nobody takes, or that comes back, is served here', async (context) => {
  const refusing = await open(context, { ...supervisor(false) });
  const { handed, sharing } = supervisor(true);
  const { acceptor, dial } = await open(context, { ...LIMITED, sharing });

  const own = await refusing.dial();
  own.end('stays');
  assert.equal(await text(own), 'stays');
  const back = await dial();
  back.write('sent before ');
  await until(() => handed.length === 1);
  handed[0]?.follow.takeBack();
  assert.equal(acceptor.connections, 1);
  back.end('and after');
  assert.equal(await text(back), 'sent before and after');

  await until(() => acceptor.connections === 0);
  await dial();
  await until(() => handed.length === 2, 'its end was counted');
});

test('a received connection is served without a limit, until the process ends', async (context) => {
  const from = supervisor(true);
  const { dial } = await open(context, { sharing: from.sharing });
  const worker = await open(context, { limits: { maxConnections: 0 }, sharing: { role: 'worker' } });
  const [first, second] = [await dial(), await dial()];
  await until(() => from.handed.length === 2);
  const [one, two] = from.handed.map(({ socket }) => socket);
  assert.ok(one && two);
  let delays = 0;
  one.setNoDelay = () => {
    delays++;
    return one;
  };
  one.allowHalfOpen = false;

  worker.acceptor.receive(one);
  one.resume();
  assert.deepEqual([one.allowHalfOpen, delays, worker.acceptor.connections], [true, 1, 1]);
  first.end('to a worker');
  assert.equal(await text(first), 'to a worker');
  await worker.acceptor.close();
  worker.acceptor.receive(two);

  assert.deepEqual(await buffer(second), Buffer.alloc(0));
});
