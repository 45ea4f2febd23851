import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { FLUSH, packet } from '#testkit/repositories/push';
import { takeFetch } from './take-fetch.ts';

const ID = '1'.repeat(40);

function requestOf(lines: readonly string[]): Buffer {
  const text = lines.map((line) => packet(`${line}\n`)).join('');
  return Buffer.from(`${packet('command=fetch')}0001${text}${FLUSH}`);
}

/** Yields bytes in chunks, and then fails if there is an error. */
async function* inChunks(bytes: Buffer, size: number, error?: Error): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  if (error !== undefined) throw error;
}

async function take(bytes: Buffer, chunk: number) {
  const { input, request } = await takeFetch(Buffer.alloc(0), inChunks(bytes, chunk));
  return { request, input: await buffer(input) };
}

const wants = (count: number): string[] => Array.from({ length: count }, () => `want ${ID}`);
const haves = (count: number): string[] => Array.from({ length: count }, () => `have ${ID}`);

for (const [reason, lines, chunk, isTaken] of [
  ['in one chunk', [...wants(1), 'done'], 1000, true],
  ['byte by byte', [...wants(1), 'done'], 1, true],
  ['for 2,500 objects', [...wants(2500), 'ofs-delta', 'done'], 32_768, true],
  ['for more', [...wants(3000), 'done'], 32_768, false],
  ['in more than 4,096 chunks', [...wants(100), 'done'], 1, false],
  ['of a client with 1,000 objects', [...wants(1), ...haves(1000), 'done'], 1000, true],
  ['of a client with more', [...wants(1), ...haves(1500), 'done'], 1000, false],
] as const)
  test(`a request ${reason} is ${isTaken ? '' : 'not '}taken, and git would get all of it`, async () => {
    const bytes = requestOf(lines);

    const { input, request } = await take(bytes, chunk);

    assert.equal(request !== undefined, isTaken);
    if (request !== undefined) assert.ok(request.bytes.equals(bytes));
    assert.ok(input.equals(bytes));
  });

for (const [reason, bytes] of [
  ['without its end', requestOf(wants(1)).subarray(0, -4)],
  ['with bytes behind its end', Buffer.concat([requestOf(wants(1)), Buffer.from('0000')])],
  ['that is no packet', Buffer.from('zzzz')],
] as const)
  test(`a request ${reason} is left to git`, async () => {
    const { input, request } = await take(bytes, 1000);

    assert.equal(request, undefined);
    assert.ok(input.equals(bytes));
  });

test('a failure of the client comes behind its bytes', async () => {
  const bytes = requestOf(wants(1)).subarray(0, -4);
  const { input, request } = await takeFetch(bytes, inChunks(Buffer.from('0'), 1, new Error('gone')));

  assert.equal(request, undefined);
  const seen: Uint8Array[] = [];
  await assert.rejects(async () => {
    for await (const chunk of input) seen.push(chunk);
  }, /gone/);
  assert.ok(Buffer.concat(seen).equals(Buffer.concat([bytes, Buffer.from('0')])));
});
