import assert from 'node:assert/strict';
import { test } from 'node:test';
import { superlinearGrowth } from '#testkit/measure/time-growth';
import { RefService } from '#wire/gen/ref_pb';
import { methodInfo } from '#wire/method-info';
import { Campaign } from '../hostile-fields/campaign.ts';
import { FieldGrowth } from './field-growth.ts';
import { fieldShapes } from './hostile-shapes.ts';

const METHOD = methodInfo(RefService.method.updateReferences);
const FIELD = 'updates.reference';
/** Of the server with an added expression, which is at work until then. */
const CPU_LIMIT_MS = 2000;

/** Starts a server whose check of names applies expressions in addition. */
async function startWith(...expressions: string[]): Promise<Campaign> {
  const preload = new URL('slow-references.ts', import.meta.url);
  for (const expression of expressions) preload.searchParams.append('expression', expression);
  return await Campaign.start({ preload: preload.href, cpuLimitMs: CPU_LIMIT_MS });
}

/** Returns what is reported of names of a shape. */
async function reported(campaign: Campaign, piece: string): Promise<string[]> {
  const shapes = fieldShapes().filter((shape) => shape.piece === piece);
  assert.equal(shapes.length, 1);
  const findings: string[] = [];
  for (const shape of shapes)
    findings.push(...(await new FieldGrowth(campaign).findings(METHOD, FIELD, shape)));
  return findings;
}

test('a field is reported for texts read in quadratic time, not for ones in linear time', async () => {
  await using campaign = await startWith('a$', String.raw`\s+$`);
  // First, because the server may still be busy with the other.
  assert.deepEqual(await reported(campaign, 'a at 1'), []);

  const [finding = '', ...others] = await reported(campaign, '  at 0');

  assert.match(
    finding,
    /UpdateReferences updates.reference with " {2}at 0": (?:\d+, \d+, \d+ ms of CPU time|does not end)$/,
  );
  assert.deepEqual(others, []);
});

test('a field that is read in exponential time is reported', async () => {
  await using campaign = await startWith('(a+)+$');

  assert.match(
    (await reported(campaign, 'a at 1')).join(),
    /UpdateReferences updates.reference .*: does not end$/,
  );
});

test('a parser that takes quadratic or exponential time is reported', async () => {
  assert.notEqual(await superlinearGrowth((size) => /\s+$/.test(`${' '.repeat(size)}a`)), undefined);
  assert.notEqual(
    await superlinearGrowth((size) => /^(?:a+)+$/.test(`${'a'.repeat(Math.min(size, 26))}!`)),
    undefined,
  );
  assert.equal(await superlinearGrowth((size) => /a$/.test('a'.repeat(size))), undefined);
});
