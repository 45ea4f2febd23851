import { formatShortBytes } from '#base/format-bytes';
import { listenForStop } from '#platform/process/signals';
import {
  Archives,
  addRestored,
  type DamagedRepository,
  type Moment,
  nothingRestored,
  type RestoredStorage,
  type ShownRepository,
  type ShownStatus,
} from '#tools/archive/archives';
import { ProgressLine } from '#tools/progress-line';
import {
  commandsIn,
  printResult,
  type ToolConsole,
  type ToolResult,
  type Used,
} from './commands/tool-command.ts';
import { lfsStoreUrl } from './lfs-store-url.ts';
import { openServer, UsageError } from './serve/open-server.ts';

export interface ArchiveCommandOptions {
  readonly to: string;
  readonly storage: string;
  readonly archive: number;
  readonly json?: boolean;
}

export interface RestoreRepositoryOptions extends ArchiveCommandOptions {
  readonly at?: Moment;
  /** Name of the restored repository. */
  readonly name?: string;
  readonly replace?: boolean;
}

/** Characters of an id of a repository. */
const SHOWN_ID = 8;

interface Opened {
  readonly archives: Archives;
}

type Use<Options> = Used<Opened, ArchiveCommandOptions & Options, ToolConsole>;

/** @param option names the server. */
const command = (group: 'archive' | 'repo', option: '--to' | '--in') =>
  commandsIn<ArchiveCommandOptions, ToolConsole, Opened>(({ archive, json, storage, to }, on, work) => {
    const connected = async (): Promise<ToolResult> => {
      await using target = await openServer(to, option);
      return await work({ archives: new Archives(target.connection, { storage, archive }) });
    };
    const isUsage = (error: unknown): boolean => error instanceof UsageError;
    return printResult(connected, { group, json, on, isUsage });
  });
const archiveCommand = command('archive', '--to');
const logCommand = command('repo', '--to');
const restoreCommand = command('repo', '--in');

/** Runs `gitaly-ts archive status`. */
export const archiveStatus = archiveCommand(async ({ archives }) => {
  const all = await archives.status();
  return { json: all, lines: all.flatMap(linesOfStatus) };
});

function linesOfStatus(status: ShownStatus): string[] {
  const { archivedEvent, behindSeconds, failed, isComplete, lastEvent, problem, state, url } = status;
  const rest = lastEvent - (archivedEvent ?? 0);
  const position =
    archivedEvent === undefined
      ? 'it is not known yet what is archived'
      : rest <= 0 && isComplete
        ? `all changes are archived (event ${lastEvent})`
        : `${rest} changes are not archived, the oldest ${behindSeconds.toFixed(1)} s old (events ` +
          `${archivedEvent + 1} to ${lastEvent})`;
  return [
    `${state} ${url}: ${position}`,
    ...(isComplete ? [] : ['  all repositories are compared']),
    ...failed.map((path) => `  not archived: ${path}`),
    ...(problem === '' ? [] : [`  last problem: ${problem}`]),
  ];
}

/** Runs `gitaly-ts archive log`: prints the repositories of an archive. */
export const archiveLog = archiveCommand(async ({ archives }) => {
  const all = await Array.fromAsync(archives.repositories());
  const lineOf = ({ generation, name, problem, time }: ShownRepository): string =>
    problem === undefined ? `${time} ${generation} ${name}` : `${name} cannot be read: ${problem}`;
  return { json: all, lines: all.map(lineOf) };
});

/** Runs `gitaly-ts archive restore`: restores all repositories that the storage lacks. */
export const restoreStorage = archiveCommand(
  async ({ archives, on, options }: Use<{ readonly at?: Moment }>) => {
    const timeMs = timeOf(options.at);
    let state: Readonly<RestoredStorage> | undefined;
    using _progress = new ProgressLine(on.stderr, () =>
      state === undefined ? 'Reading the archive' : `${state.restored.length} repositories are restored`,
    );
    const result = await archives.restoreAll(timeMs, (now) => {
      state = now;
    });
    return restoredResult(result);
  },
);

/**
 * Runs `gitaly-ts archive restore URL`: restores from an archive that another server may write,
 * which is only read, to a directory in which no server runs.
 */
export function restoreFromUrl(
  url: string,
  { at, json, storage, to }: ArchiveCommandOptions & { readonly at?: Moment },
  on: ToolConsole,
): Promise<number> {
  const work = async (): Promise<ToolResult> => {
    const timeMs = timeOf(at);
    await using target = await openServer(to, '--to', { isMade: true });
    if (target.server === undefined)
      throw new UsageError(`a server runs on ${to}: with a URL, name another directory with --to`);
    const { restoreFrom } = await import('#gitaly/archive');
    using signals = listenForStop();
    const state = nothingRestored();
    using _progress = new ProgressLine(on.stderr, () => `${state.restored.length} repositories are restored`);
    const options = { storage, timeMs, lfsUrl: await lfsStoreUrl(to, true), signal: signals.stop };
    for await (const { path: name, reason: problem, result } of restoreFrom(target.server, url, options))
      addRestored(state, result, { name, problem });
    return restoredResult(state);
  };
  return printResult(work, { group: 'archive', json, on, isUsage: (error) => error instanceof UsageError });
}

/** Returns the time of a moment. @throws {UsageError} for the number of a generation. */
function timeOf(at: Moment | undefined): number | undefined {
  if (at !== undefined && 'generation' in at)
    throw new UsageError('--at is a time here: "gitaly-ts repo restore" restores a generation');
  return at?.timeMs;
}

/** @throws {Error} that names what was not restored, or not completely. */
function restoredResult(result: RestoredStorage): ToolResult {
  const { existing, failed, incomplete, restored } = result;
  const sum = `restored ${restored.length} repositories, ${existing.length} existed`;
  const problems = [...failed, ...incomplete].map(({ name, problem }) => `${name}: ${problem}`);
  if (problems.length === 0) return { json: result, lines: [sum] };
  const counts = [
    sum,
    ...(failed.length > 0 ? [`${failed.length} failed`] : []),
    ...(incomplete.length > 0 ? [`${incomplete.length} are incomplete`] : []),
  ];
  throw new Error([counts.join(', '), ...problems].join('\n  '));
}

/** Runs `gitaly-ts archive verify`. Fails if something is damaged and was not repaired. */
export const verifyArchive = archiveCommand(
  async ({ archives, on, options }: Use<{ readonly full?: boolean }>) => {
    const read = { repositories: 0, bytes: 0 };
    const damaged: DamagedRepository[] = [];
    const shown = (): string => `${read.repositories} repositories, ${formatShortBytes(read.bytes)}`;
    using _progress = new ProgressLine(on.stderr, shown);
    const found = archives.verify(options.full === true, ({ bytes }) => {
      read.repositories++;
      read.bytes += bytes;
    });
    for await (const each of found) damaged.push(each);
    const lines = damaged.map(
      ({ isRepaired, name, problems }) => `${name}: ${problems.join('; ')}${isRepaired ? ' (repaired)' : ''}`,
    );
    const left = damaged.filter(({ isRepaired }) => !isRepaired).length;
    if (left > 0) throw new Error([`${left} repositories are damaged`, ...lines].join('\n  '));
    return { json: { ...read, damaged }, lines: [...lines, `verified ${shown()}`] };
  },
);

/** Runs `gitaly-ts archive prune`. */
export const pruneArchives = archiveCommand(async ({ archives, options }) => {
  await archives.prune();
  return { json: { pruned: options.storage }, lines: [`pruned the archives of ${options.storage}`] };
});

/** Runs `gitaly-ts repo log`. */
export const repositoryLog = logCommand(
  async ({ archives, options }: Use<{ readonly limit: number }>, name: string) => {
    const all = await Array.fromAsync(archives.generations(name, options.limit));
    const hasSeveral = new Set(all.map(({ repositoryId }) => repositoryId)).size > 1;
    const lines = all.map(({ changedReferences, changedSettings, generation, kind, repositoryId, time }) =>
      [
        `${generation}${hasSeveral ? `@${repositoryId.slice(0, SHOWN_ID)}` : ''} ${time} ${kind}`,
        ...(changedReferences > 0 ? [`${changedReferences} references`] : []),
        ...changedSettings,
      ].join(', '),
    );
    return { json: all, lines };
  },
);

/** Runs `gitaly-ts repo restore`. */
export const restoreRepository = restoreCommand(
  async ({ archives, options }: Use<RestoreRepositoryOptions>, name: string) => {
    const { at, name: to, replace } = options;
    const { name: restored, problem } = await archives.restore(name, { at, replace, to });
    if (problem !== '') throw new Error(`restored ${restored}, but ${problem}`);
    return { json: { restored }, lines: [`restored ${restored}`] };
  },
);
