import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type InternalApi, startInternalApi } from '#testkit/internal-api';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { RawClient } from './call-by-grpc-js.ts';
import { playCase } from './play-case.ts';
import { Playground } from './playground.ts';
import { readCases, readPlayed } from './recorded-case.ts';
import { Templates } from './templates.ts';

/** Plays the cases of an area whose RPC is in `played/`, one after the other on one server. */
export function replayArea(area: string): void {
  const { rpcs, exceptions, ignored } = readPlayed();
  const wanted = process.env.GOLDEN ?? '';
  const cases = readCases(area)
    .filter(({ rpc, id }) => rpcs.has(rpc) && id.includes(wanted))
    .map((each) => ({ ...each, ignore: [...(each.ignore ?? []), ...(ignored.get(each.rpc) ?? [])] }));

  describe(`recorded answers: ${area}`, { concurrency: false }, () => {
    let templates: Templates | undefined;
    let api: InternalApi | undefined;
    let gitaly: TestGitaly | undefined;
    let client: RawClient | undefined;
    let playground: Playground;

    before(async () => {
      templates = new Templates(area);
      api = await startInternalApi();
      gitaly = await startGitaly({ storages: ['default', 'second'], internalApi: api, customHooks: true });
      client = new RawClient(gitaly.address);
      playground = new Playground({ area, gitaly, templates, api });
      mkdirSync(join(gitaly.directory, 'custom_hooks'), { recursive: true });
    });

    after(async () => {
      // A server that did not start must not keep the run waiting for the rest.
      client?.close();
      await gitaly?.[Symbol.asyncDispose]();
      await api?.[Symbol.asyncDispose]();
      templates?.[Symbol.dispose]();
    });

    test(`there are recordings of ${area}`, () => assert.ok(cases.length > 0 || wanted !== ''));

    for (const recorded of cases) {
      test(`${recorded.rpc}: ${recorded.id}`, async (context) => {
        const reason = playground.cannotPlay(recorded);
        if (reason !== undefined) return context.skip(reason);

        assert.ok(client, 'the server did not start');
        const found = await playCase(recorded, playground, client);

        const exception = exceptions.get(recorded.id);
        if (exception === undefined) assert.equal(found, undefined);
        else assert.notEqual(found, undefined, `agrees with the recording: take it off the list of exceptions (${exception})`);
      });
    }
  });
}
