import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'smol-toml';
import type { StoredBackend } from '#git/repository-files/repository-format';
import { testedGit } from '#testkit/repositories/run-git';
import { seededShare } from '#testkit/seeded-share';
import { startGitHttpServer } from '#testkit/servers/git-http-server';
import { type InternalApi, startInternalApi } from '#testkit/servers/internal-api';
import { startGitaly } from '#testkit/start-gitaly';
import { RawClient } from './call-by-grpc-js.ts';
import { playCase } from './play-case.ts';
import { readPlayed, unexpected } from './played.ts';
import { Playground } from './playground.ts';
import { type RecordedCase, readCases } from './recorded-case.ts';
import { Templates } from './templates.ts';

/** A server with the storages on which cases are replayed. */
interface Stage extends AsyncDisposable {
  readonly playground: Playground;
  readonly client: RawClient;
}

export interface ReplayOptions {
  /** Plays only the cases that this accepts. */
  readonly isWanted?: (recorded: RecordedCase) => boolean;
  /** Share of the cases that `npm test` plays, chosen by its seed; default all. */
  readonly share?: number;
  /**
   * Cases before which the folder of backups is emptied. The others build on the case before, so
   * all of the area are played.
   */
  readonly withoutBackups?: (recorded: RecordedCase) => boolean;
  /** Changes a case before it is played. */
  readonly adapt?: (recorded: RecordedCase) => RecordedCase;
  /** Format of the references of all templates; default as they were recorded. */
  readonly referenceBackend?: StoredBackend;
  /** TOML tables, for every server, behind the lines of a recording. */
  readonly config?: string;
}

/**
 * Replays the cases of an area whose RPC is in `played/`, one after the other on one server per
 * configuration.
 */
export function replayArea(area: string, options: ReplayOptions = {}): void {
  const { isWanted = () => true, share = 1, withoutBackups, config: base = '' } = options;
  const { adapt = (recorded) => recorded, referenceBackend } = options;
  const { rpcs, exceptions, ignored } = readPlayed(testedGit(), referenceBackend);
  const { GOLDEN: wanted = '', GOLDEN_EVERY: every = '1', GOLDEN_OFFSET: offset = '0' } = process.env;
  const all = readCases(area)
    .filter((recorded) => rpcs.has(recorded.rpc) && recorded.id.includes(wanted) && isWanted(recorded))
    .filter((_, index) => withoutBackups !== undefined || (index + Number(offset)) % Number(every) === 0);
  // Cases that build on each other are not parted, also in a short soak.
  const cases = (share === 1 ? all : seededShare(all, share)).map((each) => ({
    ...adapt(each),
    ignore: [...(each.ignore ?? []), ...(ignored.get(each.rpc) ?? [])],
  }));

  describe(`recorded answers: ${area}`, { concurrency: false }, () => {
    let templates: Templates;
    let api: InternalApi | undefined;
    const stages = new Map<string, Promise<Stage>>();

    /**
     * Returns the server with a recording's configuration lines, started for the first case that
     * has them.
     */
    function stageWith(config: string): Promise<Stage> {
      assert.ok(api, 'the internal API did not start');
      const stage = stages.get(config) ?? startStage({ area, templates, api, config: `${config}\n${base}` });
      stages.set(config, stage);
      return stage;
    }

    before(async () => {
      templates = new Templates(area, referenceBackend);
      api = await startInternalApi();
    });

    after(async () => {
      using _templates = templates;
      await using opened = new AsyncDisposableStack(); // all are closed, whichever fails
      opened.use(api);
      for (const stage of stages.values()) opened.use(await stage.catch(() => undefined));
    });

    // A share of a small area may be empty.
    test(`there are recordings of ${area}`, () =>
      assert.ok(cases.length > 0 || wanted !== '' || every !== '1'));

    for (const recorded of cases) {
      test(`${recorded.rpc}: ${recorded.id}`, async (context) => {
        const { playground, client } = await stageWith(recorded.given?.config ?? recorded.config ?? '');
        const reason = playground.cannotPlay(recorded);
        if (reason !== undefined) return context.skip(reason);

        if (withoutBackups?.(recorded) === true) playground.removeBackups();
        const found = await playCase(recorded, playground, client);

        assert.deepEqual(unexpected(found, exceptions.get(recorded.id)), []);
      });
    }
  });
}

interface StageOptions {
  readonly area: string;
  readonly templates: Templates;
  readonly api: InternalApi;
  /** TOML. */
  readonly config: string;
}

async function startStage({ area, templates, api, config }: StageOptions): Promise<Stage> {
  const gitaly = await startGitaly({
    storages: ['default', 'second'],
    internalApi: api,
    customHooks: true,
    // The recorded server was 19.0: it sends no fields of older clients.
    config: (directory) => ({
      compatibility: { oldest_client: '19.0' },
      ...parse(config.replaceAll('<TEMPLATES>', templates.directory).replaceAll('<DIR>', directory)),
    }),
  });
  mkdirSync(join(gitaly.directory, 'custom_hooks'), { recursive: true });
  const web = await startGitHttpServer(gitaly.storagePath());
  const client = new RawClient(gitaly.address);
  return {
    playground: new Playground({ area, gitaly, templates, api, web }),
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      await web[Symbol.asyncDispose]();
      await gitaly[Symbol.asyncDispose]();
    },
  };
}
