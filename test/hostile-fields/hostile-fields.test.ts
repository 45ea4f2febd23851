import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shuffled } from '#base/shuffled';
import { seededRandom } from '#testkit/repositories/random-history';
import { testSeed } from '#testkit/test-seed';
import type { HostileCall } from './caller.ts';
import { Campaign, type Finding } from './campaign.ts';
import { isIsolated, isolatingCommand, runIsolated } from './isolation.ts';
import { hostileCalls } from './plan.ts';
import { fromReplay } from './replay.ts';
import { WITHOUT_VALID_REQUEST } from './seeds.ts';

/** With `npm run soak`: every value in every field; else a choice of them. */
const isSoak = process.env.GITALY_SOAK === '1';
const seed = testSeed('HOSTILE_SEED');
/** Part of the path of a method, to try only those. */
const only = process.env.HOSTILE_ONLY ?? '';
/** A call from a report: only it is made. */
const replay = process.env.HOSTILE_REPLAY;
const PER_FIELD = 2;
/** Values for each field, to try a part of a soak. */
const perField = Number(process.env.HOSTILE_PER_FIELD ?? 0) || (isSoak ? undefined : PER_FIELD);
/** Beginning of the fields to try, or `metadata:`. */
const fields = process.env.HOSTILE_FIELD ?? '';
/** Of a choice of calls, with the methods in the order of the seed. */
const LIMIT_SECONDS = 12;
/** Seconds after which no further call is made. */
const limitSeconds =
  Number(process.env.HOSTILE_SECONDS ?? 0) || (isSoak ? Number.POSITIVE_INFINITY : LIMIT_SECONDS);
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
    const options = { seed, isIsolated: isIsolated(), fields, ...(perField !== undefined && { perField }) };
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
    for (const method of methods) {
      for (const call of hostileCalls(method, campaign.sandbox, (each) => campaign.targetOf(each), options)) {
        round.push(call);
        if (round.length >= ROUND) await finishRound();
        if (isOver()) break;
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

function describe({ what, calls }: Finding): string {
  return `${what.join('; ')}\n  ${calls.map((call) => call.slice(0, MAX_SHOWN)).join('\n  ')}`;
}
