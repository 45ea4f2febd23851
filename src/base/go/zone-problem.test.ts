import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zoneProblem } from './zone-problem.ts';

for (const [zone, problem] of [
  ['+0000', undefined],
  ['-2460', undefined],
  ['', 'parsing time "" as "-0700": cannot parse "" as "-0700"'],
  ['0530', 'parsing time "0530" as "-0700": cannot parse "0530" as "-0700"'],
  ['+0061', 'parsing time "+0061": time zone offset minute out of range'],
  ['+2500', 'parsing time "+2500": time zone offset hour out of range'],
  ['+05300', 'parsing time "+05300": extra text: "0"'],
] as const) {
  test(`the zone ${JSON.stringify(zone)} is ${problem === undefined ? 'read' : 'refused'}`, () => {
    assert.equal(zoneProblem(zone), problem);
  });
}
