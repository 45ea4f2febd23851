import { readFile } from 'node:fs/promises';
import { text as textOf } from 'node:stream/consumers';
import { parseRulesDocument } from '#tokens/push-rules';
import type { ToolResult } from '../commands/tool-command.ts';
import { UsageError } from '../serve/open-server.ts';
import { type RepoOptions, type RepoUse, repoCommand } from './repo.ts';

/** Runs `gitaly-ts repo default-branch`. */
export const defaultBranch = repoCommand(
  async ({ repositories }, text: string, branch: string | undefined) => {
    const name = await repositories.nameOf(text);
    if (branch !== undefined) await repositories.setDefaultBranch(name, branch);
    const now = await repositories.defaultBranch(name);
    return { json: { name, defaultBranch: now }, lines: [now] };
  },
);

/** Runs `gitaly-ts repo description`. */
export const description = repoCommand(async ({ repositories }, text: string, given: string | undefined) => {
  const name = await repositories.nameOf(text);
  if (given !== undefined) await repositories.setDescription(name, given);
  const now = await repositories.description(name);
  return { json: { name, description: now }, lines: now === '' ? [] : [now] };
});

export interface RulesOptions extends RepoOptions {
  readonly set?: string;
  readonly check?: string;
  readonly remove?: boolean;
}

/** Runs `gitaly-ts repo rules`. */
export const rules = repoCommand(
  async ({ on, options, repositories }: RepoUse<RulesOptions>, text: string): Promise<ToolResult> => {
    const { check, remove = false, set } = options;
    if ([check !== undefined, remove, set !== undefined].filter(Boolean).length > 1)
      throw new UsageError('give one of --set, --check and --remove');
    const name = await repositories.nameOf(text);
    const file = set ?? check;
    if (file !== undefined) {
      const document = file === '-' ? await textOf(on.stdin) : await readFile(file, 'utf8');
      await parseRulesDocument(Buffer.from(document));
      if (set !== undefined) await repositories.setRules(name, document);
      const done = set === undefined ? `valid ${file}` : `set the rules of ${name}`;
      return { json: { name, rules: JSON.parse(document), isSet: set !== undefined }, lines: [done] };
    }
    if (remove) {
      await repositories.setRules(name, undefined);
      return { json: { name, rules: null }, lines: [`removed the rules of ${name}`] };
    }
    const document = await repositories.rules(name);
    const lines = document === undefined ? [`${name}: no rules`] : document.trimEnd().split('\n');
    return { json: { name, rules: document === undefined ? null : JSON.parse(document) }, lines };
  },
);
