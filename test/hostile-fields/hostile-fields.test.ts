import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shuffled } from '#base/shuffled';
import { seededRandom } from '#testkit/repositories/random-history';
import { isSoak, repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import type { HostileCall } from './caller.ts';
import { Campaign, type Finding } from './campaign.ts';
import { isIsolated, isolatingCommand, runIsolated } from './isolation.ts';
import { hostileCalls } from './plan.ts';
import { fromReplay } from './replay.ts';
import { WITHOUT_VALID_REQUEST } from './seeds.ts';

const seed = testSeed('HOSTILE_SEED');
/** Part of the path of a method, to try only those. */
const only = process.env.HOSTILE_ONLY ?? '';
/** A call from a report: only it is made. */
const replay = process.env.HOSTILE_REPLAY;
/** Beginning of the fields to try, or `metadata:`. */
const fields = process.env.HOSTILE_FIELD ?? '';
/** A soak of some methods or fields tries every value. */
const isWhole = isSoak && `${only}${fields}` !== '';
/** Values for each field, which the seed chooses. */
const perField = repetitions('HOSTILE_PER_FIELD', {
  short: 1,
  long: isWhole ? Number.POSITIVE_INFINITY : 40,
});
/** Seconds after which no further call is made. */
const limitSeconds = repetitions('HOSTILE_SECONDS', {
  short: 4,
  long: isWhole ? Number.POSITIVE_INFINITY : 480,
});
/** Calls between two checks of what was left behind. */
const ROUND = 48;
/** Characters of a call in a report; one that is longer is made anew from the seed. */
const MAX_SHOWN = 2000;
/** Findings after which there is no point in going on. */
const MAX_FINDINGS = 30;

const network = isIsolated() ? undefined : await isolatingCommand();
if (network === undefined) attack();
else {
  test('hostile values, in a network that has only loopback', async (t) => {
    const { code, stdout, stderr } = await runIsolated(network, import.meta.filename, t.signal);
    for (const [, line] of stdout.matchAll(/^# (\d+ calls .*|\/.*)$/gm)) t.diagnostic(line ?? '');
    assert.equal(code, 0, stdout + stderr);
  });
}

function attack(): void {
  test('most methods get valid requests, so that hostile values get past the first check', async (t) => {
    await using campaign = await Campaign.start();
    const refused: string[] = [];
    const methods = (await campaign.servedMethods()).filter(({ path }) => path.includes(only));
    for (const method of methods) {
      if (WITHOUT_VALID_REQUEST.some(({ path }) => path.test(method.path))) continue;
      const { code, message } = await campaign.callValidly(method);
      if (code !== 'OK') refused.push(`${method.path}: ${code} ${message}`);
    }

    for (const line of refused) t.diagnostic(line);
    assert.ok(refused.length <= methods.length / 20, refused.join('\n'));
  });

  test('no value in a field is more than a value', {
    skip: replay !== undefined && 'HOSTILE_REPLAY is set',
  }, async (t) => {
    await using campaign = await Campaign.start();
    const served = (await campaign.servedMethods()).filter(({ path }) => path.includes(only));
    const methods = shuffled(served, seededRandom(seed));
    const options = { seed, isIsolated: isIsolated(), fields, perField };
    const end = performance.now() + limitSeconds * 1000;
    const findings: Finding[] = [];
    let round: HostileCall[] = [];
    let made = 0;
    let tried = 0;
    const known = new Set<string>();
    const finishRound = async (): Promise<void> => {
      for (const finding of await campaign.run(round)) {
        // The same value in the same field tests nothing new.
        const kind = `${finding.calls[0]?.replace(/"value".*/s, '')} ${finding.what[0]?.slice(0, 30)}`;
        if (known.has(kind)) continue;
        known.add(kind);
        findings.push(finding);
      }
      made += round.length;
      round = [];
    };
    const isOver = () => findings.length >= MAX_FINDINGS || performance.now() > end;
    for (const [index, method] of methods.entries()) {
      const methodEnd = endOfShare(end, methods.length - index);
      const calls = hostileCalls(method, campaign.sandbox, (each) => campaign.targetOf(each), options);
      // In any order, so that each field gets some of its values before the time is over.
      for (const call of isSoak && !isWhole ? shuffled([...calls], seededRandom(seed)) : calls) {
        round.push(call);
        if (round.length >= ROUND) await finishRound();
        if (isOver() || performance.now() > methodEnd) break;
      }
      // A round is of one method, so that what it may change is known.
      await finishRound();
      tried++;
      if (isOver()) break;
    }
    await finishRound();

    t.diagnostic(`${made} calls of ${tried} of ${methods.length} methods, HOSTILE_SEED=${seed}`);
    assert.deepEqual(findings.map(describe), []);
    assert.deepEqual(campaign.remains(), [], 'temporary directories were left behind');
  });

  test('a call of a report is made again', {
    skip: replay === undefined && 'HOSTILE_REPLAY is not set',
  }, async () => {
    await using campaign = await Campaign.start();

    const call = fromReplay(replay ?? '', campaign.sandbox, (each) => campaign.targetOf(each));

    assert.deepEqual((await campaign.run([call])).map(describe), []);
  });
}

/** In the soak every method gets its share of the time that is left. */
function endOfShare(end: number, methodsLeft: number): number {
  if (!isSoak) return end;
  return performance.now() + (end - performance.now()) / methodsLeft;
}

function describe({ what, calls }: Finding): string {
  return `${what.join('; ')}\n  ${calls.map((call) => call.slice(0, MAX_SHOWN)).join('\n  ')}`;
}
