import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertCpuBelow } from '#testkit/measure/cpu-limit';
import { parseJson } from './read-request.ts';

const parse = (text: string): unknown => parseJson(Buffer.from(text));
const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
const values = (count: number): string => `[${Array.from({ length: count }, () => 0).join()}]`;

test('a body has few levels and values, whatever its texts contain', () => {
  assert.throws(() => parse(nested(17)), /nested more than 16 deep/);
  assert.throws(() => parse(values(50_002)), /more than 50000 values/);
  for (const text of [nested(16), values(50_000)]) assert.deepEqual(parse(text), JSON.parse(text));
  const odd = JSON.stringify({ a: ','.repeat(60_000), b: '[{"\\'.repeat(20_000), c: ['\\\\', '"'] });
  assert.deepEqual(parse(odd), JSON.parse(odd));
});

test('what is no JSON is refused', () => {
  for (const text of ['', '{', '"', '"\\', '[1,]']) assert.throws(() => parse(text), /not valid JSON/, text);
  assert.throws(() => parseJson(Buffer.from([0x22, 0xff, 0x22])), /not UTF-8/);
});

test('the most hostile body of full size takes little time', async () => {
  const full = 4 << 20;
  for (const text of [
    '{"a":1},'.repeat(full / 8),
    ' '.repeat(full),
    '"\\""'.repeat(full / 4),
    '['.repeat(full),
  ]) {
    const body = Buffer.from(`[${text}`);
    await assertCpuBelow(100, () => assert.throws(() => parseJson(body)), text.slice(0, 8));
  }
});
