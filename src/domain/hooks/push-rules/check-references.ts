import { isAncestor } from '#git/history/graph/is-ancestor';
import { isZeroOid } from '#git/names/object-id';
import { isInPaths, type ReferenceRule, ruleFor, textOfRule } from '#tokens/reference-rules';
import { type MovedReference, refusal, ruledReferences } from './moved-reference.ts';
import { headOf, knownCommits } from './new-commits.ts';
import { checkEach, type PushChange, type PushChanges, type RuleRefusal } from './push-changes.ts';
import { refusedPath } from './refused-path.ts';

const TAGS = 'refs/tags/';
/** Commits of HEAD are not new, whatever rule has applied to them. */
const ALL = '**';

export async function checkReferences(rules: readonly ReferenceRule[], push: PushChanges): Promise<void> {
  await checkEach(push, async (change) => {
    for (const ruled of await ruledReferences(push, change)) await checkChange(rules, push, change, ruled);
  });
}

async function checkChange(
  rules: readonly ReferenceRule[],
  push: PushChanges,
  change: PushChange,
  { reference, shown }: MovedReference,
): Promise<void> {
  const { owner, repository } = push;
  const { newOid, oldOid } = change;
  const found = ruleFor(rules, reference);
  if (found === undefined) throw refusal(shown, `no rule of the ${owner} allows it`);
  const { number, rule } = found;
  const by = (words: string): RuleRefusal =>
    refusal(shown, `rule ${number} of the ${owner} ${words} (${textOfRule(rule)})`);
  if (rule.effect === 'deny') throw by('denies it');
  if (isZeroOid(newOid)) {
    // A deleted reference can be created again with any value.
    if (!rule.delete || !rule.force) throw by('does not allow to delete');
    return;
  }
  if (!rule.force && !isZeroOid(oldOid)) {
    const isForward =
      !reference.startsWith(TAGS) &&
      (await isAncestor(repository, { ancestor: oldOid, descendant: newOid }, push));
    if (!isForward) throw by('does not allow to replace commits');
  }
  if (rule.paths.length === 0) return;
  const revisions = [newOid, ...knownCommits(await headOf(push), change, ALL)];
  const reason = await refusedPath(push, { revisions, isRefused: (path) => !isInPaths(rule, path) });
  if (reason !== undefined) throw by(`does not allow ${reason}`);
}
