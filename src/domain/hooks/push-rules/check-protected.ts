import { isAncestor } from '#git/history/graph/is-ancestor';
import { isZeroOid } from '#git/names/object-id';
import type { ProtectedAction, ProtectedReference } from '#tokens/protected-references';
import { applying, isNamed } from '#tokens/restriction';
import { type MovedReference, refusal, ruledReferences } from './moved-reference.ts';
import { checkEach, type PushChange, type PushChanges } from './push-changes.ts';

const TAGS = 'refs/tags/';
const WORDS: Readonly<Record<ProtectedAction, string>> = {
  create: 'create it',
  update: 'update it',
  force: 'replace commits',
  delete: 'delete it',
};

/** Checks who may change protected references: every rule that applies must allow it. */
export async function checkProtected(
  rules: readonly ProtectedReference[] = [],
  push: PushChanges,
): Promise<void> {
  await checkEach(push, async (change) => {
    for (const ruled of await ruledReferences(push, change)) await checkChange(rules, push, change, ruled);
  });
}

async function checkChange(
  rules: readonly ProtectedReference[],
  push: PushChanges,
  change: PushChange,
  { reference, shown }: MovedReference,
): Promise<void> {
  const { owner, user } = push;
  const found = applying(rules, { reference, user });
  if (found.length === 0) return;
  const action = await actionOf(push, reference, change);
  const refused = found.find(
    ({ rule }) => !isNamed(rule[action], user) && !(action === 'update' && isNamed(rule.force, user)),
  );
  if (refused === undefined) return;
  const { number, rule } = refused;
  throw refusal(
    shown,
    `rule ${number} of "protected" of the ${owner} does not allow ${user || 'this user'} to ` +
      `${WORDS[action]} (${rule.on})`,
  );
}

async function actionOf(
  push: PushChanges,
  reference: string,
  { newOid, oldOid }: PushChange,
): Promise<ProtectedAction> {
  if (isZeroOid(newOid)) return 'delete';
  if (isZeroOid(oldOid)) return 'create';
  if (reference.startsWith(TAGS)) return 'force';
  const isForward = await isAncestor(push.repository, { ancestor: oldOid, descendant: newOid }, push);
  return isForward ? 'update' : 'force';
}
