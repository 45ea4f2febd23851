import assert from 'node:assert/strict';
import { type Duplex, PassThrough, Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { packetHeader } from '#base/pkt-line/packet';
import { startSidechannelServer } from '#testkit/servers/sidechannel-server';
import {
  CallError,
  dial,
  dialSidechannel,
  postUploadPack,
  SidechannelRegistry,
  uploadPackWithSidechannel,
} from './index.ts';

const band = (number: number, data: string) =>
  Buffer.concat([packetHeader(1 + data.length), Buffer.of(number), Buffer.from(data)]);

/** Returns the client's data until its half close. */
const received = (sidechannel: Duplex) => text(sidechannel.iterator({ destroyOnReturn: false }));

test('both directions work, and the half close reaches the server while it still writes', async () => {
  await using server = await startSidechannelServer(async (sidechannel) => {
    sidechannel.write('before ');
    sidechannel.write(`got ${await received(sidechannel)}`);
  });
  const registry = new SidechannelRegistry();
  await using connection = await dialSidechannel(server.address, registry);
  const io = { stdin: Readable.from([Buffer.from('a'), Buffer.from('b')]), stdout: new PassThrough() };

  await postUploadPack(connection, registry, io, {});

  assert.equal(await text(io.stdout.end()), 'before got ab');
  assert.equal(registry.size, 0);
});

test('concurrent calls have separate streams', async () => {
  await using server = await startSidechannelServer(async (sidechannel) => {
    sidechannel.write(await received(sidechannel));
  });
  const registry = new SidechannelRegistry();
  await using connection = await dialSidechannel(server.address, registry);

  const answers = Array.from({ length: 20 }, async (_, i) => {
    const stdout = new PassThrough();
    await postUploadPack(
      connection,
      registry,
      { stdin: Readable.from([Buffer.from(`call ${i}`)]), stdout },
      {},
    );
    return stdout.read().toString();
  });

  assert.deepEqual(
    await Promise.all(answers),
    answers.map((_, i) => `call ${i}`),
  );
});

test('output is split by its band, and an unknown band is an error', async () => {
  let answer = Buffer.concat([band(1, 'out'), band(2, 'err')]);
  await using server = await startSidechannelServer(async (sidechannel) => {
    sidechannel.write(answer);
  });
  const registry = new SidechannelRegistry();
  await using connection = await dialSidechannel(server.address, registry);
  const run = async () => {
    const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
    // stdin never ends
    const { exitCode } = await uploadPackWithSidechannel(connection, registry, io, {});
    return [exitCode, `${io.stdout.read()}`, `${io.stderr.read()}`];
  };

  assert.deepEqual(await run(), [0, 'out', 'err']);
  answer = band(7, 'x');
  await assert.rejects(run(), { message: 'copy response: unexpected band: 7' });
});

test("the call's error takes precedence over the callback's", async () => {
  await using server = await startSidechannelServer(async () => {
    throw new Error('git has gone');
  });
  const registry = new SidechannelRegistry();
  await using connection = await dialSidechannel(server.address, registry);
  const io = { stdin: new PassThrough(), stdout: new PassThrough() };

  await assert.rejects(postUploadPack(connection, registry, io, {}), (error) => {
    assert.ok(error instanceof CallError);
    return /git has gone/.test(error.message);
  });
  assert.equal(registry.size, 0);
});

// The reason why git refused a fetch was sometimes lost.
test('data sent before the call failed is passed on in full, even to a slow reader', async () => {
  const words = Buffer.alloc(600_000, 'fatal: ');
  await using server = await startSidechannelServer(async (sidechannel) => {
    for (let at = 0; at < words.length; at += 60_000)
      sidechannel.write(band(2, words.toString('latin1', at, at + 60_000)));
    await finished(sidechannel.end(), { readable: false });
    throw new Error('exit status 128');
  });
  const registry = new SidechannelRegistry();
  await using connection = await dialSidechannel(server.address, registry);
  const chunks: Buffer[] = [];
  const stderr = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      setTimeout(done, 5); // a slow reader
    },
  });
  const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr };

  await assert.rejects(uploadPackWithSidechannel(connection, registry, io, {}), /exit status 128/);
  await finished(stderr.end());

  assert.ok(Buffer.concat(chunks).equals(words));
});

test('a stuck reader does not delay the failure of an aborted call', async () => {
  await using server = await startSidechannelServer(async (sidechannel) => {
    sidechannel.write(band(1, 'out'));
    await received(sidechannel);
  });
  const registry = new SidechannelRegistry();
  await using connection = await dialSidechannel(server.address, registry);
  const abort = new AbortController();
  const stdout = new Writable({ write: () => abort.abort(new Error('enough')) });
  const io = { stdin: new PassThrough(), stdout, stderr: new PassThrough() };

  const start = performance.now();
  await assert.rejects(uploadPackWithSidechannel(connection, registry, io, {}, { signal: abort.signal }));

  assert.ok(performance.now() - start < 4_000);
});

// The wait had no end: the server has done its part, and nothing else ends a stuck reader.
test('an abort ends the wait for a stuck reader after the server has answered', async () => {
  await using server = await startSidechannelServer(async (sidechannel) => {
    sidechannel.write(Buffer.alloc(100_000));
  });
  const registry = new SidechannelRegistry();
  await using connection = await dialSidechannel(server.address, registry);
  const abort = new AbortController();
  const reason = new Error('enough');
  const stdout = new Writable({ write: () => {} });
  const onTrailers = (): void => void setImmediate(() => abort.abort(reason));

  await assert.rejects(
    postUploadPack(
      connection,
      registry,
      { stdin: new PassThrough(), stdout },
      {},
      { signal: abort.signal, onTrailers },
    ),
    (error) => error instanceof GitalyError && error.code === 'CANCELLED' && error.cause === reason,
  );
});

test('a stdin that fails is the error, and the server is notified', async () => {
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<unknown>();
  await using server = await startSidechannelServer(async (sidechannel) => {
    sidechannel.once('readable', () => begun.resolve());
    await received(sidechannel).then(ended.resolve, ended.reject);
  });
  ended.promise.catch(() => {});
  const registry = new SidechannelRegistry();
  await using connection = await dialSidechannel(server.address, registry);
  const stdin = async function* () {
    yield Buffer.from('begun');
    await begun.promise;
    throw new Error('body cut off');
  };

  const io = { stdin: stdin(), stdout: new PassThrough() };
  await assert.rejects(postUploadPack(connection, registry, io, {}), {
    message: 'copy request: body cut off',
  });
  await assert.rejects(ended.promise, { message: 'unexpected EOF' });
});

test('a call whose sidechannel was used is not repeated', async () => {
  let calls = 0;
  await using server = await startSidechannelServer(async (sidechannel) => {
    calls++;
    assert.equal(await received(sidechannel), 'once');
    throw new GitalyError('UNAVAILABLE', 'the server goes away');
  });
  const registry = new SidechannelRegistry();
  await using connection = await dialSidechannel(server.address, registry, {
    retry: { initialBackoffMs: 1, maxBackoffMs: 1 },
  });
  const io = { stdin: Readable.from([Buffer.from('once')]), stdout: new PassThrough() };

  await assert.rejects(postUploadPack(connection, registry, io, {}), (error) => {
    assert.ok(error instanceof CallError);
    assert.deepEqual(
      [error.code, error.message, error.operation],
      ['UNAVAILABLE', 'the server goes away', 'accessor'],
    );
    assert.equal(error.retryable, false);
    return true;
  });
  assert.equal(calls, 1);
});

test('without a multiplexed connection there is no sidechannel', async () => {
  await using server = await startSidechannelServer(async () => {});
  await using connection = await dial(server.address);
  const io = { stdin: new PassThrough(), stdout: new PassThrough() };

  await assert.rejects(postUploadPack(connection, new SidechannelRegistry(), io, {}), {
    message: /sidechannel: fail to extract mux session: non-multiplexed connection/,
  });
});
