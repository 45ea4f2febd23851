import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'smol-toml';
import { type InternalApi, startInternalApi } from '#testkit/internal-api';
import { testedGit } from '#testkit/run-git';
import { startGitaly } from '#testkit/start-gitaly';
import { RawClient } from './call-by-grpc-js.ts';
import { playCase } from './play-case.ts';
import { Playground } from './playground.ts';
import { readCases, readPlayed } from './recorded-case.ts';
import { Templates } from './templates.ts';

/** A server with the storages that cases are played on. */
interface Stage extends AsyncDisposable {
  readonly playground: Playground;
  readonly client: RawClient;
}

/** Plays the cases of an area whose RPC is in `played/`, one after the other on one server, or on one for each configuration. */
export function replayArea(area: string): void {
  const { rpcs, exceptions, ignored } = readPlayed(testedGit());
  const wanted = process.env.GOLDEN ?? '';
  const cases = readCases(area)
    .filter(({ rpc, id }) => rpcs.has(rpc) && id.includes(wanted))
    .map((each) => ({ ...each, ignore: [...(each.ignore ?? []), ...(ignored.get(each.rpc) ?? [])] }));

  describe(`recorded answers: ${area}`, { concurrency: false }, () => {
    let templates: Templates;
    let api: InternalApi | undefined;
    const stages = new Map<string, Promise<Stage>>();

    /** The server with lines of a recording's configuration, started for the first case that has them. */
    function stageWith(config: string): Promise<Stage> {
      assert.ok(api, 'the internal API did not start');
      const stage = stages.get(config) ?? startStage({ area, templates, api, config });
      stages.set(config, stage);
      return stage;
    }

    before(async () => {
      templates = new Templates(area);
      api = await startInternalApi();
    });

    after(async () => {
      for (const stage of stages.values()) await (await stage.catch(() => undefined))?.[Symbol.asyncDispose]();
      await api?.[Symbol.asyncDispose]();
      templates?.[Symbol.dispose]();
    });

    test(`there are recordings of ${area}`, () => assert.ok(cases.length > 0 || wanted !== ''));

    for (const recorded of cases) {
      test(`${recorded.rpc}: ${recorded.id}`, async (context) => {
        const { playground, client } = await stageWith(recorded.given?.config ?? '');
        const reason = playground.cannotPlay(recorded);
        if (reason !== undefined) return context.skip(reason);

        const found = await playCase(recorded, playground, client);

        const exception = exceptions.get(recorded.id);
        if (exception === undefined) assert.equal(found, undefined);
        else if (exception.isCertain)
          assert.notEqual(found, undefined, `agrees with the recording in spite of: ${exception.because}`);
      });
    }
  });
}

interface StageParts {
  readonly area: string;
  readonly templates: Templates;
  readonly api: InternalApi;
  /** TOML. */
  readonly config: string;
}

async function startStage({ area, templates, api, config }: StageParts): Promise<Stage> {
  const keys = parse(config.replaceAll('<TEMPLATES>', templates.directory));
  const gitaly = await startGitaly({ storages: ['default', 'second'], internalApi: api, customHooks: true, config: keys });
  mkdirSync(join(gitaly.directory, 'custom_hooks'), { recursive: true });
  const client = new RawClient(gitaly.address);
  return {
    playground: new Playground({ area, gitaly, templates, api }),
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      await gitaly[Symbol.asyncDispose]();
    },
  };
}
