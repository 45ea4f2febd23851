import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { referenceBackends } from '#testkit/repositories/init-repository';
import { NO_OPENSSH } from '#testkit/ssh-client';
import { differenceOf } from './differences.ts';
import { FETCHES } from './fetch-cases.ts';
import type { Format } from './origin.ts';
import { type Place, type Played, play } from './place.ts';
import { openPlaces, type Places, type Transport } from './places.ts';
import { PUSHES } from './push-cases.ts';
import type { Protocol, TransportCase } from './steps.ts';

/** A case with what it is tried with. */
export interface Trial extends Format {
  readonly tried: TransportCase;
  readonly protocol: Protocol;
}

/** Returns each case with each version of the protocol and each format of a repository. */
export function allTrials(): Trial[] {
  const formats = referenceBackends().flatMap((referenceBackend) =>
    (['sha1', 'sha256'] as const).map((objectFormat) => ({ referenceBackend, objectFormat })),
  );
  return [...FETCHES, ...PUSHES].flatMap((tried) =>
    (['0', '1', '2'] as const).flatMap((protocol) =>
      formats.map((format) => ({ tried, protocol, ...format })),
    ),
  );
}

/** Registers a test for each trial: git does over HTTP and SSH what it does with `file://`. */
export function testTrials(trials: readonly Trial[]): void {
  const transports = NO_OPENSSH === false ? (['http', 'ssh'] as const) : (['http'] as const);
  if (NO_OPENSSH !== false) test('over SSH', { skip: NO_OPENSSH });
  let places: Places;
  before(async () => {
    places = await openPlaces();
  });
  after(() => places[Symbol.asyncDispose]());

  for (const trial of trials) {
    const { tried, protocol, objectFormat, referenceBackend } = trial;
    test(`${tried.name}: v${protocol}, ${objectFormat}, ${referenceBackend}`, async () => {
      const origin = places.originOf(trial);
      const copies: Place[] = [];
      const over = (transport: Transport): Promise<Played> => {
        const copy = places.copy(origin, transport);
        copies.push(copy);
        return play(tried, copy, { origin, protocol, objectFormat });
      };

      const [expected, ...results] = await Promise.all(['file' as const, ...transports].map(over));

      for (const [index, transport] of transports.entries()) {
        const difference = differenceOf(tried.name, { protocol, transport });
        if (difference === undefined) assert.deepEqual(results[index], expected, transport);
        else if (difference.isOfGit) assert.deepEqual(results[index], await over('backend'), transport);
        else assert.notDeepEqual(results[index], expected, `${transport} has no difference`);
      }
      for (const { client, repository } of copies)
        for (const path of [client, repository]) rmSync(path, { recursive: true, force: true });
    });
  }
}
