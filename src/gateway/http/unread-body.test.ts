import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { never } from '#testkit/until';
import { discardRest, hasUnreadBody } from './unread-body.ts';

// Only these fields of a request are read.
const requestWith = (complete: boolean, headers: IncomingMessage['headers']) =>
  ({ complete, headers }) as IncomingMessage;
const asRequest = (stream: PassThrough) => stream as unknown as IncomingMessage;

test('more of a body follows if the request has one and is not complete', () => {
  const chunked = { 'transfer-encoding': 'chunked' };
  assert.equal(hasUnreadBody(requestWith(false, chunked)), true);
  assert.equal(hasUnreadBody(requestWith(true, chunked)), false);
  assert.equal(hasUnreadBody(requestWith(false, { 'content-length': '1' })), true);
  assert.equal(hasUnreadBody(requestWith(true, { 'content-length': '1' })), false);
  assert.equal(hasUnreadBody(requestWith(false, { 'content-length': '0' })), false);
  assert.equal(hasUnreadBody(requestWith(false, {})), false);
});

test('the rest of a body is read up to its end, or up to 16 MiB', async () => {
  const short = new PassThrough();
  short.end('the rest');
  await discardRest(asRequest(short));
  assert.equal(short.readableEnded, true);

  const long = new PassThrough({ highWaterMark: 32 << 20 });
  const mebibyte = Buffer.alloc(1 << 20);
  for (let count = 0; count < 20; count++) long.write(mebibyte);
  await discardRest(asRequest(long));
  assert.equal(long.listenerCount('readable'), 0);
});

test('the rest of a body is waited for during two seconds', async (context: TestContext) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let isOver = false;
  const reading = discardRest(asRequest(new PassThrough())).then(() => {
    isOver = true;
  });

  context.mock.timers.tick(1999);
  await never(() => isOver);
  context.mock.timers.tick(1);

  await reading;
});

test('a client that disconnects meanwhile is no error', async () => {
  const stream = new PassThrough();
  const reading = discardRest(asRequest(stream));

  stream.destroy(new Error('reset'));

  await reading;
});
