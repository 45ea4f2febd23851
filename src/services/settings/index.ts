import { GitalyError, invalidArgument, withCode } from '#base/gitaly-error';
import { rulesProblem } from '#domain/hooks/push-rules/repository-rules';
import { readSetting, writeSetting } from '#domain/settings/kept-settings';
import { isLfsId, lfsIdsIn, lfsIdsOf } from '#domain/settings/lfs-ids';
import { lfsPointersOf } from '#domain/settings/lfs-pointers';
import { type HandlersOf, serveWith } from '#rpc/server/handler';
import type { VotingDependencies } from '#services/convert/request/voting-dependencies';
import type { Storages } from '#storage/storages';
import { SettingsService } from '#wire/gen/gitalyts/settings/v1/settings_pb';

export interface SettingsDependencies extends Pick<VotingDependencies, 'voteOf'> {
  readonly storages: Storages;
}

type Handlers = HandlersOf<typeof SettingsService, SettingsDependencies>;

const MAX_CHARACTERS = 1000;
const CONTROL = /\p{Cc}/u;
/** A fork of a fork of a fork … has that many sources at most. */
const MAX_IDS = 100;
const NONE = Buffer.alloc(0);
const NO_ID = 'custom_hooks/gitaly-ts/lfs-ids of the repository has no id: correct it, or remove it';
/** Files in a message of some 300 KB. */
const MAX_FILES = 4000;

/** Implements the settings of repositories. */
export function settingsService(deps: SettingsDependencies) {
  return serveWith(SettingsService, deps, {
    get,
    setDescription,
    setRules,
    listLfsFiles,
    setLfsIds,
  });
}

const get: Handlers['get'] = async (request, _context, { storages }) => {
  const repository = storages.open(request.repository);
  const description = await readSetting(repository, 'description');
  const rules = await readSetting(repository, 'rules.json');
  const problem = rules && (await rulesProblem(rules));
  return {
    ...(description && { description: description.toString() }),
    ...(rules && { rules }),
    lfsIds: await lfsIdsOf(repository),
    ...(problem !== undefined && { rulesProblem: problem }),
  };
};

/** Sets or removes the description of a repository. */
const setDescription: Handlers['setDescription'] = async (
  { description, repository: target },
  context,
  { storages, voteOf },
) => {
  const repository = storages.open(target);
  if (description.length > MAX_CHARACTERS || CONTROL.test(description))
    throw invalidArgument(`description: not one line of ${MAX_CHARACTERS} characters`);
  await writeSetting(repository, 'description', Buffer.from(description), { vote: voteOf(context) });
  return {};
};

/** Sets or removes the rules of a repository for pushes. */
const setRules: Handlers['setRules'] = async (
  { expected, repository: target, rules },
  context,
  { storages, voteOf },
) => {
  const repository = storages.open(target);
  const problem = rules.length === 0 ? undefined : await rulesProblem(rules);
  if (problem !== undefined) throw invalidArgument(`rules: ${problem}`);
  await writeSetting(repository, 'rules.json', rules, { expected, vote: voteOf(context) });
  return {};
};

/** Sets the ids of a repository in the store of Git LFS, unless it has some. */
const setLfsIds: Handlers['setLfsIds'] = async (request, context, { storages, voteOf }) => {
  const repository = storages.open(request.repository);
  const { ids } = request;
  if (ids.length === 0 || ids.length > MAX_IDS || !ids.every(isLfsId))
    throw invalidArgument(`ids: not 1 to ${MAX_IDS} names of letters and digits`);
  const expected = (await readSetting(repository, 'lfs-ids')) ?? NONE;
  const known = lfsIdsIn(expected);
  if (known.length > 0) return { ids: known };
  // Files may be in the store under what somebody has changed by hand.
  if (expected.toString().trim() !== '') throw new GitalyError('FAILED_PRECONDITION', NO_ID);
  const content = Buffer.from(`${ids.join('\n')}\n`);
  await writeSetting(repository, 'lfs-ids', content, { expected, vote: voteOf(context) });
  return { ids: await lfsIdsOf(repository) };
};

/** Lists the files that pointers in the history of all references name. */
const listLfsFiles: Handlers['listLfsFiles'] = async function* (request, { signal }, { storages }) {
  const repository = storages.open(request.repository);
  let files: { sha256: string; size: bigint }[] = [];
  try {
    for await (const pointers of lfsPointersOf(repository, ['--all'], signal)) {
      for (const { fileOid, fileSize } of pointers) files.push({ sha256: fileOid, size: fileSize });
      if (files.length < MAX_FILES) continue;
      yield { files };
      files = [];
    }
  } catch (error) {
    throw withCode(error, 'INTERNAL');
  }
  if (files.length > 0) yield { files };
};
