import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { SIDECHANNEL_ID } from '#rpc/common/header-names';
import {
  clientContext,
  destinationOf,
  messagesOf,
  methodOf,
  proxiedNode,
} from '#testkit/praefect/proxied-node';
import { until } from '#testkit/until';
import { proxySidechannel } from './proxy-sidechannel.ts';
import { proxyToAll } from './proxy-to-all.ts';

const method = methodOf('SSHUploadPackWithSidechannel');

type Callback = (upstream: Duplex) => Promise<void>;

/** A node that opens the sidechannel of a call, and a client that offers one. */
function start({ opening = async (): Promise<void> => {} } = {}) {
  const { context } = clientContext();
  context.headers.set(SIDECHANNEL_ID, '1');
  const [downstream, client] = duplexPair();
  context.openSidechannel = async () => {
    await opening();
    return downstream;
  };
  const outcome = Promise.withResolvers<void>();
  outcome.promise.catch(() => {}); // close reports it
  let callback: Callback | undefined;
  const target = proxiedNode({});
  // All that a proxy uses of the sidechannels of a node.
  const sidechannels = {
    register: (given: Callback) => {
      callback = given;
      return { id: 7n, close: () => outcome.promise };
    },
  };
  Object.assign(target.node, { sidechannels });
  /** Opens the sidechannel as the node does. Returns the node's end. */
  const open = (): Duplex => {
    const [near, far] = duplexPair();
    const upstream = Object.assign(near, { closeWrite: async () => void near.end() });
    assert.ok(callback);
    callback(upstream).then(outcome.resolve, outcome.reject);
    return far;
  };
  return { ...target, client, context, downstream, open, refuse: outcome.reject };
}

test('a call without a sidechannel of the client has none to its node', () => {
  const { context } = clientContext();
  assert.equal(proxySidechannel(start().node, context), undefined);
});

test('bytes pass in both directions, until the node has ended', async () => {
  const { client, context, downstream, node, open } = start();
  const sidechannel = proxySidechannel(node, context);
  assert.ok(sidechannel);
  assert.deepEqual(sidechannel.metadata, [[SIDECHANNEL_ID, '7']]);
  const ofNode = open();
  const received = text(client);

  client.end('want');
  const [wanted] = await once(ofNode, 'data');
  await once(ofNode, 'end');
  ofNode.end('pack');
  await sidechannel.finished();

  assert.equal(String(wanted), 'want');
  assert.equal(await received, 'pack');
  assert.equal(downstream.destroyed, true);
});

test('a sidechannel that cannot be passed on fails the call', async () => {
  const { context, node, open } = start({ opening: () => Promise.reject(new Error('client has gone')) });
  const sidechannel = proxySidechannel(node, context);
  open();
  await assert.rejects(sidechannel?.finished() ?? Promise.resolve(), {
    code: 'INTERNAL',
    message: 'sidechannel: proxy callback: client has gone',
  });
  await sidechannel?.[Symbol.asyncDispose]();
});

test('a sidechannel that the node did not open is no error', async () => {
  const { context, node, refuse } = start();
  const sidechannel = proxySidechannel(node, context);
  refuse(new Error('callback de-registered without having run'));
  await sidechannel?.finished();
});

test('a call ends after its sidechannel, by whose id the node opens it', async () => {
  const { calls, client, context, node, open } = start();
  const primary = destinationOf({ node });
  const plan = { primary, secondaries: [], finish: async () => {} };
  const responses = proxyToAll(method, messagesOf(), plan, context);
  let isOver = false;
  const ending = responses.next().then(() => {
    isOver = true;
  });
  const ofNode = open();
  const received = text(client);
  assert.equal(calls[0]?.options.metadata.get(SIDECHANNEL_ID), '7');
  assert.equal(isOver, false);

  ofNode.end('pack');

  assert.equal(await received, 'pack');
  await ending;
});

test('a sidechannel has finished when the client has read all of it', async () => {
  const { client, context, downstream, node, open } = start();
  const sidechannel = proxySidechannel(node, context);
  const events: string[] = [];
  const finishing = sidechannel?.finished().then(() => events.push('finished'));
  open().end('pack');
  await until(() => downstream.writableEnded);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([events, downstream.destroyed], [[], false]);

  client.once('end', () => events.push('read'));
  // The client itself never ends its side: it waits for the node.
  assert.equal(await text(client), 'pack');
  await finishing;

  assert.deepEqual(events, ['read', 'finished']);
  assert.equal(downstream.destroyed, true);
});

test('a node that breaks the sidechannel ends it for the client, and fails the call', async () => {
  const { client, context, downstream, node, open } = start();
  const sidechannel = proxySidechannel(node, context);
  client.on('error', () => {}); // it may see the failure
  const callbackEnds = once(downstream, 'close');

  open()
    .on('error', () => {})
    .destroy(new Error('reset'));
  await assert.rejects(sidechannel?.finished() ?? Promise.resolve(), {
    code: 'INTERNAL',
    message: /^sidechannel: proxy callback: copy re/,
  });

  await callbackEnds;
  assert.equal(downstream.destroyed, true);
});
