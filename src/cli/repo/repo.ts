import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { formatShortBytes } from '#base/format-bytes';
import { describeMirror, MirrorDirectory } from '#tools/mirror/mirror-directory';
import { type CreateRepositoryOptions, Repositories, type RepositoryFacts } from '#tools/repo/repositories';
import { commandsIn, printResult, type ToolResult, type Used } from '../commands/tool-command.ts';
import { isAddress } from '../open-target.ts';
import { openServer, UsageError } from '../serve/open-server.ts';

/** Options of all commands `gitaly-ts repo`. */
export interface RepoOptions {
  readonly to: string;
  readonly storage: string;
  readonly json?: boolean;
}

/** Streams for the output of commands, and for a person's confirmation. */
export interface RepoConsole {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: { write(text: string): unknown };
  readonly stderr: NodeJS.WritableStream;
}

interface Connected {
  readonly repositories: Repositories;
  readonly token: string | undefined;
}

export type RepoUse<Options> = Used<Connected, RepoOptions & Options, RepoConsole>;

/** Makes a command on the repositories of a server. */
export const repoCommand = commandsIn<RepoOptions, RepoConsole, Connected>(
  ({ json, storage, to }, on, work) => {
    const connected = async (): Promise<ToolResult> => {
      await using target = await openServer(to, '--to');
      return await work({
        repositories: new Repositories(target.connection, storage),
        token: target.token,
      });
    };
    const isUsage = (error: unknown): boolean => error instanceof UsageError;
    return printResult(connected, { group: 'repo', json, on, isUsage });
  },
);

/** Runs `gitaly-ts repo list`. */
export const listRepositories = repoCommand(
  async ({ options, repositories }: RepoUse<{ readonly all?: boolean }>) => {
    const found = await Array.fromAsync(repositories.list({ pools: options.all === true }));
    const json = options.json === true ? await Array.fromAsync(repositories.described(found)) : found;
    return { json, lines: found.map(({ name }) => name) };
  },
);

/** Runs `gitaly-ts repo create`. */
export const createRepository = repoCommand(
  async ({ options, repositories }: RepoUse<CreateRepositoryOptions>, name: string) => {
    const created = await repositories.create(name, options);
    return { json: { created }, lines: [`created ${created}`] };
  },
);

/** Runs `gitaly-ts repo rename`. */
export const renameRepository = repoCommand(async ({ repositories }, from: string, to: string) => {
  const name = await repositories.nameOf(from);
  const renamed = await repositories.rename(name, to);
  return { json: { from: name, to: renamed }, lines: [`renamed ${name} to ${renamed}`] };
});

export interface ForkRepositoryOptions {
  readonly branch?: string;
  readonly copy?: boolean;
  readonly rules?: boolean;
  /** Seconds after which the server removes the fork. */
  readonly expires?: number;
}

/** Runs `gitaly-ts repo fork`. */
export const forkRepository = repoCommand(
  async ({ options, repositories, token }: RepoUse<ForkRepositoryOptions>, source: string, text: string) => {
    const { branch, copy, expires, rules } = options;
    const from = await repositories.nameOf(source);
    const created = await repositories.fork(from, text, {
      ...(branch !== undefined && { branch }),
      ...(copy !== undefined && { copy }),
      ...(rules !== undefined && { rules }),
      ...(expires !== undefined && { lifetimeSeconds: expires }),
      ...(token !== undefined && { token }),
    });
    return { json: { source: from, created }, lines: [`created ${created}, a fork of ${from}`] };
  },
);

export interface ExpireOptions extends RepoOptions {
  /** Seconds from now. */
  readonly in?: number;
  readonly never?: boolean;
  /** Full name of a reference. */
  readonly ref?: string;
}

/** Runs `gitaly-ts repo expire`: sets a time, and prints all of the repository. */
export const expireRepository = repoCommand(
  async ({ options, repositories }: RepoUse<ExpireOptions>, text: string) => {
    const { in: seconds, never = false, ref } = options;
    if (seconds !== undefined && never) throw new UsageError('give either --in or --never');
    if (seconds === undefined && !never && ref !== undefined)
      throw new UsageError('--ref needs --in or --never');
    const name = await repositories.nameOf(text);
    if (seconds !== undefined || never) await repositories.expire(name, seconds, ref);
    const expiries = await repositories.expiries(name);
    const lines = expiries.map(({ reference, expires }) => `${expires} ${reference ?? name}`);
    return { json: expiries, lines: lines.length > 0 ? lines : [`${name}: nothing expires`] };
  },
);

/** Runs `gitaly-ts repo remove`. Without `yes` a person must confirm it on a terminal. */
export const removeRepositories = repoCommand(
  async ({ on, options, repositories }: RepoUse<{ readonly yes?: boolean }>, texts: readonly string[]) => {
    const names: string[] = [];
    for (const text of texts) names.push(await repositories.nameOf(text));
    if (options.yes !== true) await confirm(names, on);
    await repositories.remove(names);
    return { json: { removed: names }, lines: names.map((name) => `removed ${name}`) };
  },
);

async function confirm(names: readonly string[], { stdin, stderr }: RepoConsole): Promise<void> {
  if (stdin.isTTY !== true)
    throw new UsageError('nothing was removed: add --yes to remove without a question');
  using terminal = createInterface({ input: stdin, output: stderr });
  // Ctrl-D and Ctrl-C close the terminal, which leaves the question open.
  const closed = once(terminal, 'close').then(() => '');
  const question = terminal.question(`Remove ${names.join(', ')} for good? Type "yes": `);
  const answer = await Promise.race([question, closed]);
  if (answer.trim() !== 'yes') throw new Error('nothing was removed');
}

/** Runs `gitaly-ts repo gc`: for the named repositories, or all of the storage. */
export const collectGarbage = repoCommand(
  async (
    { options, repositories }: RepoUse<{ readonly all?: boolean; readonly full?: boolean }>,
    texts: readonly string[],
  ) => {
    if (options.all === true ? texts.length > 0 : texts.length === 0)
      throw new UsageError('name repositories, or give --all');
    const names: string[] = [];
    for (const text of texts) names.push(await repositories.nameOf(text));
    if (options.all === true)
      for await (const { name } of repositories.list({ pools: true })) names.push(name);
    for (const name of names) await repositories.collectGarbage(name, { full: options.full === true });
    return { json: { optimized: names }, lines: names.map((name) => `optimized ${name}`) };
  },
);

/** Runs `gitaly-ts repo info`. */
export const showRepository = repoCommand(async ({ options, repositories }, text: string) => {
  const facts = await repositories.facts(await repositories.nameOf(text));
  const mirror = isAddress(options.to) ? undefined : await mirrorOf(options.to, facts.name);
  const json = mirror === undefined ? facts : { ...facts, mirror };
  const lines = mirror === undefined ? [] : [`${'mirror'.padEnd(18)}${mirror}`];
  return { json, lines: [...linesOf(facts), ...lines] };
});

/** Describes a mirror; `undefined` for another repository. */
async function mirrorOf(directory: string, name: string): Promise<string | undefined> {
  const mirrors = new MirrorDirectory(directory);
  const mirror = await mirrors.stateOf(name);
  return mirror && describeMirror(mirror);
}

function linesOf(facts: RepositoryFacts): string[] {
  const rows: readonly (readonly [string, string])[] = [
    ['name', facts.name],
    ['default branch', facts.defaultBranch],
    ['description', facts.description],
    ['rules', facts.hasRules ? 'yes: gitaly-ts repo rules' : 'none'],
    ['object format', facts.objectFormat],
    ['size', formatShortBytes(facts.bytes)],
    [
      'objects',
      `${formatShortBytes(facts.objectBytes)} in ${facts.packs} packs, ${facts.looseObjects} loose objects`,
    ],
    ['references', `${facts.referenceFormat}, ${facts.looseReferences} loose`],
    ...facts.borrowsFrom.map((directory) => ['borrows from', directory] as const),
  ];
  return rows.map(([key, value]) => `${key.padEnd(18)}${value}`);
}
