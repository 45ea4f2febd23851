import { LoopSlice } from '#base/async/loop-turns';
import { GitExitError } from '#git/command/process/exit-error';
import { isAncestor } from '#git/history/graph/is-ancestor';
import { isZeroOid } from '#git/names/object-id';
import { MAX_SYMBOLIC_DEPTH } from '#git/refs/storage/follow-ref';
import type { GitRepository } from '#git/repository';
import { type ReferenceRule, ruleFor, textOfRule } from '#tokens/reference-rules';
import { changeOutside } from './change-outside.ts';
import { type PushChange, type PushChanges, RuleRefusal } from './push-changes.ts';

const TAGS = 'refs/tags/';

/** Checks the changes of a push by the rules of references. */
export async function checkReferences(rules: readonly ReferenceRule[], push: PushChanges): Promise<void> {
  const slice = new LoopSlice();
  for (const change of push.changes) {
    await checkChange(rules, push, change);
    await slice.pause(push.signal);
  }
}

async function checkChange(
  rules: readonly ReferenceRule[],
  push: PushChanges,
  change: PushChange,
): Promise<void> {
  const { repository, signal } = push;
  const { newOid, oldOid } = change;
  const moved = await movedReference(repository, change.reference, signal);
  const reference = moved.toString();
  const isSymbolic = !moved.equals(change.reference);
  const shown = isSymbolic ? `${reference} (through ${change.reference.toString()})` : reference;
  const found = ruleFor(rules, reference);
  if (found === undefined) throw refusal(shown, 'no rule of the token allows it');
  const { number, rule } = found;
  const by = (words: string): RuleRefusal =>
    refusal(shown, `rule ${number} of the token ${words} (${textOfRule(rule)})`);
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
  const reason = await changeOutside(repository, rule, change, signal);
  if (reason !== undefined) throw by(`does not allow ${reason}`);
}

function refusal(reference: string, reason: string): RuleRefusal {
  return new RuleRefusal(`${reference}: ${reason}`);
}

async function readReference(repository: GitRepository, name: Buffer, signal: AbortSignal) {
  try {
    return await repository.refs.read(name, { signal });
  } catch (error) {
    if (!(error instanceof GitExitError)) throw error;
    throw refusal(name.toString(), 'git cannot read it (its name may be too long): push to another name');
  }
}

/**
 * Returns the reference that git changes for a pushed name: the end of its symbolic references,
 * even if that does not exist.
 *
 * @throws {RuleRefusal} for more symbolic references than git follows.
 */
async function movedReference(repository: GitRepository, pushed: Buffer, signal: AbortSignal) {
  let at = pushed;
  for (let depth = 0; depth < MAX_SYMBOLIC_DEPTH; depth++) {
    const target = (await readReference(repository, at, signal))?.symbolicTarget;
    if (target === undefined) return at;
    at = target;
  }
  throw refusal(pushed.toString(), 'it is a symbolic reference to too many others');
}
