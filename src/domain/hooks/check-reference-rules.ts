import { realpathSync } from 'node:fs';
import { posix } from 'node:path';
import { LoopSlice } from '#base/loop-turns';
import { GitExitError } from '#git/command/exit-error';
import { isAncestor } from '#git/history/is-ancestor';
import { isZeroOid } from '#git/objects/object-id';
import { MAX_SYMBOLIC_DEPTH } from '#git/refs/follow-ref';
import type { GitRepository } from '#git/repository';
import { type ReferenceRule, ruleFor, textOfRule } from '#tokens/reference-rules';
import { quarantineOf } from './access.ts';
import { changeOutside } from './change-outside.ts';
import type { HookCall } from './hook-call.ts';

/** The rules of a token refuse a change. The message names the rule. */
export class RuleRefusal extends Error {
  override readonly name = 'RuleRefusal';
}

interface Change {
  readonly oldOid: string;
  readonly newOid: string;
  /** Bytes as latin1, for git; text for the rules. */
  readonly reference: Buffer;
}

const TAGS = 'refs/tags/';

/**
 * Checks the changes of a push by the rules of the token with which it came.
 *
 * @param changes lines `<old> <new> <reference>\n`.
 * @throws {RuleRefusal} that names the rule; {GitalyError} and {GitExitError} when the push cannot
 *   be checked: it is refused, too.
 */
export async function checkReferenceRules(
  call: HookCall,
  rules: readonly ReferenceRule[],
  changes: Buffer,
): Promise<void> {
  const repository = quarantined(call);
  const slice = new LoopSlice();
  for (const change of parseChanges(changes)) {
    await checkChange({ repository, call, rules }, change);
    await slice.pause(call.signal);
  }
}

interface Check {
  readonly repository: GitRepository;
  readonly call: HookCall;
  readonly rules: readonly ReferenceRule[];
}

async function checkChange({ repository, call, rules }: Check, change: Change): Promise<void> {
  const { newOid, oldOid } = change;
  const moved = await movedReference(repository, change.reference, call.signal);
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
      (await isAncestor(repository, { ancestor: oldOid, descendant: newOid }, call));
    if (!isForward) throw by('does not allow to replace commits');
  }
  if (rule.paths.length === 0) return;
  const reason = await changeOutside(repository, rule, change, call.signal);
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

/** Returns the repository with the objects of the push, which are not its own yet. */
function quarantined(call: HookCall): GitRepository {
  const { repository } = call;
  const quarantine = quarantineOf(call);
  if (quarantine === undefined) return repository;
  const base = realpathSync(repository.path);
  const absolute = (directory: string): string => posix.resolve(base, directory);
  return repository.withObjectDirectories({
    objectDirectory: absolute(quarantine.objectDirectory),
    alternateObjectDirectories: quarantine.alternateObjectDirectories.map(absolute),
  });
}

function* parseChanges(changes: Buffer): Generator<Change> {
  for (let start = 0; start < changes.length; ) {
    const end = changes.indexOf('\n', start);
    const line = changes.subarray(start, end === -1 ? changes.length : end);
    start += line.length + 1;
    const [first, second] = [line.indexOf(' '), line.indexOf(' ', line.indexOf(' ') + 1)];
    if (first === -1 || second === -1) throw new RuleRefusal('a change of the push cannot be read');
    yield {
      oldOid: line.toString('latin1', 0, first),
      newOid: line.toString('latin1', first + 1, second),
      reference: line.subarray(second + 1),
    };
  }
}
