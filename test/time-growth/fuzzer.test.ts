import assert from 'node:assert/strict';
import { test } from 'node:test';
import { superlinearGrowth } from '#testkit/time-growth';
import { RefService } from '#wire/gen/ref_pb';
import { methodInfo } from '#wire/method-info';
import { Campaign } from '../hostile-fields/campaign.ts';
import { FieldGrowth } from './field-growth.ts';
import { fieldShapes } from './hostile-shapes.ts';

const METHOD = methodInfo(RefService.method.updateReferences);
const FIELD = 'updates.reference';
/** Of the server with an added expression, which is at work until then. */
const CPU_LIMIT_MS = 2000;

/** Returns what is reported of a server whose check of names applies an expression in addition. */
async function reported(expression: string, piece: string): Promise<string[]> {
  const preload = new URL('slow-references.ts', import.meta.url);
  preload.searchParams.set('expression', expression);
  await using campaign = await Campaign.start({ preload: preload.href, cpuLimitMs: CPU_LIMIT_MS });
  const growth = new FieldGrowth(campaign);
  const findings: string[] = [];
  const shapes = fieldShapes().filter((shape) => shape.piece === piece);
  assert.equal(shapes.length, 1);
  for (const shape of shapes) findings.push(...(await growth.findings(METHOD, FIELD, shape)));
  return findings;
}

test('a field that is read in quadratic time is reported', async () => {
  const [finding = '', ...others] = await reported(String.raw`\s+$`, '  at 0');

  assert.match(
    finding,
    /UpdateReferences updates.reference with " {2}at 0": (?:\d+, \d+, \d+ ms of CPU time|does not end)$/,
  );
  assert.deepEqual(others, []);
});

test('a field that is read in exponential time is reported', async () => {
  assert.match(
    (await reported('(a+)+$', 'a at 1')).join(),
    /UpdateReferences updates.reference .*: does not end$/,
  );
});

test('a field that is read in linear time is not reported', async () => {
  assert.deepEqual(await reported('a$', 'a at 1'), []);
});

test('a parser that takes quadratic or exponential time is reported', async () => {
  assert.notEqual(await superlinearGrowth((size) => /\s+$/.test(`${' '.repeat(size)}a`)), undefined);
  assert.notEqual(
    await superlinearGrowth((size) => /^(?:a+)+$/.test(`${'a'.repeat(Math.min(size, 26))}!`)),
    undefined,
  );
  assert.equal(await superlinearGrowth((size) => /a$/.test('a'.repeat(size))), undefined);
});
