import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { FLUSH, packet } from '#testkit/repositories/push';
import { ClientInput } from './client-input.ts';

const ID = '1'.repeat(40);
const LS_REFS = Buffer.from(`${packet('command=ls-refs\n')}0001${packet('peel\n')}${FLUSH}`);

function requestOf(lines: readonly string[]): Buffer {
  const text = lines.map((line) => packet(`${line}\n`)).join('');
  return Buffer.from(`${packet('command=fetch')}0001${text}${FLUSH}`);
}

/** Yields bytes in chunks, and then fails if there is an error. */
async function* inChunks(bytes: Buffer, size: number, error?: Error): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  if (error !== undefined) throw error;
}

/** Reads a request. `observed` has what an observer saw in the end. */
async function take(bytes: Buffer, chunk: number) {
  const seen: Uint8Array[] = [];
  const client = new ClientInput(inChunks(bytes, chunk), (one) => seen.push(Buffer.from(one)));
  const request = await client.next();
  const rest = await buffer(client.rest());
  return { request, rest, observed: Buffer.concat(seen) };
}

const wants = (count: number): string[] => Array.from({ length: count }, () => `want ${ID}`);
const haves = (count: number): string[] => Array.from({ length: count }, () => `have ${ID}`);

for (const [reason, lines, chunk, isTaken] of [
  ['in one chunk', [...wants(1), 'done'], 1000, true],
  ['byte by byte', [...wants(1), 'done'], 1, true],
  ['for 10,000 objects', [...wants(10_000), 'ofs-delta', 'done'], 32_768, true],
  ['for more', [...wants(11_000), 'done'], 32_768, false],
  ['in more than 4,096 chunks', [...wants(100), 'done'], 1, false],
  ['of a client with 1,000 objects', [...wants(1), ...haves(1000), 'done'], 1000, true],
  ['of a client with more', [...wants(1), ...haves(1500), 'done'], 1000, false],
] as const)
  test(`a fetch ${reason} is ${isTaken ? '' : 'not '}taken, and git would get all of it`, async () => {
    const bytes = requestOf(lines);

    const { observed, request, rest } = await take(bytes, chunk);

    assert.equal(request.command !== undefined, isTaken);
    if (isTaken) assert.ok(request.bytes.equals(bytes));
    assert.ok(rest.equals(bytes));
    assert.ok(observed.equals(bytes));
  });

const CUTS = [1, 3, 7, 1000];

for (const [reason, bytes, cuts] of [
  ['without its end', requestOf(wants(1)).subarray(0, -4), CUTS],
  ['with bytes behind its end', Buffer.concat([requestOf(wants(1)), Buffer.from('0000')]), [1000]],
  ['that is no packet', Buffer.from('zzzz'), CUTS],
  ['of the references, without its end', LS_REFS.subarray(0, 30), CUTS],
  ['with another command', Buffer.from(`${packet('command=none')}${FLUSH}`), CUTS],
] as const)
  test(`a request ${reason} is left to git, however it is cut`, async () => {
    for (const length of cuts) {
      const { request, rest } = await take(bytes, length);

      assert.deepEqual([request.command, request.isEnd], [undefined, false]);
      assert.ok(rest.equals(bytes));
    }
  });

test('requests come one after another, and the end behind them', async () => {
  const all = Buffer.concat([LS_REFS, requestOf([...wants(1), 'done'])]);
  const client = new ClientInput(inChunks(all, LS_REFS.length), () => {});

  assert.equal((await client.next()).command?.name, 'ls-refs');
  const { command, isEnd } = await client.next();
  assert.deepEqual([command?.name, isEnd], ['fetch', false]);
  assert.equal((await client.next()).isEnd, true);
  const flush = new ClientInput(inChunks(Buffer.from(FLUSH), 4), () => {});
  assert.equal((await flush.next()).isEnd, true);
});

test('a failure of the client comes behind its bytes', async () => {
  const bytes = requestOf(wants(1)).subarray(0, -4);
  for (const got of [bytes, Buffer.alloc(0)]) {
    const client = new ClientInput(inChunks(got, 10, new Error('gone')), () => {});

    const { command, isEnd } = await client.next();
    assert.deepEqual([command, isEnd], [undefined, false]);
    const seen: Uint8Array[] = [];
    await assert.rejects(async () => {
      for await (const chunk of client.rest()) seen.push(chunk);
    }, /gone/);
    assert.ok(Buffer.concat(seen).equals(got));
  }
});
