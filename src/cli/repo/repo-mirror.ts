import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JsonFields } from '#base/json-fields';
import { describeMirror, MirrorDirectory } from '#tools/mirror/mirror-directory';
import { parseMirrorCredentials, requireMirrorUrl } from '#tools/mirror/mirror-source';
import type { Repositories } from '#tools/repo/repositories';
import type { ToolResult } from '../commands/tool-command.ts';
import { isAddress } from '../open-target.ts';
import { UsageError } from '../serve/open-server.ts';
import { type RepoOptions, type RepoUse, repoCommand } from './repo.ts';

export interface MirrorOptions extends RepoOptions {
  /** Seconds. */
  readonly every: number;
  readonly credentials?: string;
  readonly stop?: boolean;
}

const MIN_SECONDS = 60;
const REASON = 'it is a mirror of ';

/** Runs `gitaly-ts repo mirror`. */
export const mirror = repoCommand(
  async ({ options, repositories }: RepoUse<MirrorOptions>, text: string, url: string | undefined) => {
    const isOfUp = statSync(options.to, { throwIfNoEntry: false })?.isDirectory() === true;
    if (isAddress(options.to) || !isOfUp || existsSync(join(options.to, 'config.toml')))
      throw new UsageError('--to: mirrors are in the directory of gitaly-ts up: name it');
    const directory = new MirrorDirectory(options.to);
    if (url !== undefined) return await start(text, url, { ...options, directory, repositories });
    if (options.stop === true) return await stop(await repositories.nameOf(text), directory, repositories);
    if (text !== 'list') throw new UsageError('give a URL, or --stop');
    return await list(directory);
  },
);

interface StartOptions extends MirrorOptions {
  readonly directory: MirrorDirectory;
  readonly repositories: Repositories;
}

async function start(
  text: string,
  given: string,
  { credentials: file, directory, every, repositories }: StartOptions,
): Promise<ToolResult> {
  if (every < MIN_SECONDS) throw new UsageError(`--every: at least ${MIN_SECONDS} seconds`);
  const url = requireMirrorUrl(given);
  const credentials = file === undefined ? '' : await readFile(file, 'utf8');
  if (credentials !== '') parseMirrorCredentials(credentials);
  const name = await repositories
    .nameOf(text)
    .catch(() => repositories.create(text, { branch: 'main', objectFormat: 'sha1' }));
  await replaceReason(repositories, name, `${REASON}${url}`);
  await directory.set({ repository: name, url, everySeconds: every }, credentials);
  return {
    json: { name, url, everySeconds: every },
    lines: [`${name} mirrors ${url}; gitaly-ts up begins at once`],
  };
}

async function stop(
  name: string,
  directory: MirrorDirectory,
  repositories: Repositories,
): Promise<ToolResult> {
  if ((await directory.find(name)) === undefined) throw new Error(`${name} is no mirror`);
  await directory.remove(name);
  await replaceReason(repositories, name, undefined);
  return { json: { stopped: name }, lines: [`${name} is no mirror any more`] };
}

/** Sets or removes the rule that refuses pushes to a mirror. The others stay. */
async function replaceReason(
  repositories: Repositories,
  name: string,
  reason: string | undefined,
): Promise<void> {
  const before = await repositories.rules(name);
  const document = JsonFields.parse(before ?? '{}');
  if (document === undefined) throw new Error(`the rules of ${name} are damaged: see gitaly-ts repo rules`);
  const others = (document.list('readOnly') ?? []).filter(
    (rule) => JsonFields.of(rule)?.text('reason')?.startsWith(REASON) !== true,
  );
  const readOnly = reason === undefined ? others : [...others, { reason }];
  const entries = document.entries().filter(([kind]) => kind !== 'readOnly');
  const rules = Object.fromEntries([...entries, ...(readOnly.length === 0 ? [] : [['readOnly', readOnly]])]);
  const isEmpty = Object.keys(rules).length === 0;
  const after = isEmpty ? undefined : `${JSON.stringify(rules, undefined, 2)}\n`;
  await repositories.setRules(name, after, { expected: before ?? '' });
}

async function list(directory: MirrorDirectory): Promise<ToolResult> {
  const mirrors = await directory.states();
  return {
    json: mirrors.map((one) => ({ ...one, lastRun: one.lastRun ?? null })),
    lines: mirrors.map((one) => `${one.repository}  ${describeMirror(one)}`),
  };
}
