import { readFile } from 'node:fs/promises';
import { attempt } from '#base/attempt';
import { type FileStamp, fileStamp, NO_FILE } from '#base/files/file-stamp';
import { messageOf } from '#base/gitaly-error';
import { BoundedMap } from '#base/memory/bounded-map';
import { settingPath } from '#domain/settings/kept-settings';
import type { Repository } from '#storage/repository';
import { type PushRules, parseRulesDocument } from '#tokens/push-rules';
import { RuleRefusal } from './push-changes.ts';

const MAX_KEPT = 200;

/** Rules by path of their document, which is only replaced as a whole. */
const kept = new BoundedMap<string, { readonly stamp: FileStamp; readonly rules: PushRules }>({
  maxEntries: MAX_KEPT,
});

/** Reports whether a repository has rules, even invalid ones. Takes one `stat`. */
export function hasRules({ path }: Pick<Repository, 'path'>): boolean {
  // On failure: the push is refused with the reason
  return attempt(() => fileStamp(settingPath(path, 'rules.json')) !== NO_FILE) ?? true;
}

/**
 * Returns the rules of a repository for all pushes; `undefined` for none.
 *
 * @throws {RuleRefusal} for a document that cannot be read or is invalid.
 */
export async function rulesOfRepository({ path }: Pick<Repository, 'path'>): Promise<PushRules | undefined> {
  const file = settingPath(path, 'rules.json');
  try {
    const stamp = fileStamp(file);
    if (stamp === NO_FILE) return undefined;
    const known = kept.get(file);
    if (known?.stamp === stamp) return known.rules;
    const rules = await parseRulesDocument(await readFile(file));
    kept.set(file, { stamp, rules });
    return rules;
  } catch (error) {
    throw new RuleRefusal(
      `the rules of the repository cannot be used, so it accepts no push: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** Returns why a document with rules cannot be used; `undefined` if it is valid. */
export async function rulesProblem(document: Uint8Array): Promise<string | undefined> {
  return await parseRulesDocument(document).then(() => undefined, messageOf);
}
