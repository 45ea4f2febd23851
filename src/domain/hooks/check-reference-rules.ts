import { realpathSync } from 'node:fs';
import { posix } from 'node:path';
import { LoopSlice } from '#base/loop-turns';
import { flag, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output-lines';
import { isAncestor } from '#git/history/is-ancestor';
import { isZeroOid } from '#git/objects/object-id';
import type { GitRepository } from '#git/repository';
import { isInPaths, type ReferenceRule, ruleFor, textOfRule } from '#tokens/reference-rules';
import { quarantineOf } from './access.ts';
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

/** git compares trees for this long at most, to find the files of new commits. */
const MAX_CPU_SECONDS = 30;
const NUL = 0;
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
  const reference = change.reference.toString();
  const found = ruleFor(rules, reference);
  if (found === undefined) throw refusal(reference, 'no rule of the token allows it');
  const { number, rule } = found;
  const by = (words: string): RuleRefusal =>
    refusal(reference, `rule ${number} of the token ${words} (${textOfRule(rule)})`);
  if (rule.effect === 'deny') throw by('denies it');
  if (isZeroOid(newOid)) {
    if (!rule.delete) throw by('does not allow to delete');
    return;
  }
  if (!rule.force && !isZeroOid(oldOid)) {
    const isForward =
      !reference.startsWith(TAGS) &&
      (await isAncestor(repository, { ancestor: oldOid, descendant: newOid }, call));
    if (!isForward) throw by('does not allow to replace commits');
  }
  if (rule.paths.length === 0) return;
  const path = await pathOutside(repository, rule, change, call.signal);
  if (path !== undefined) throw by(`does not allow to change ${JSON.stringify(path)}`);
}

function refusal(reference: string, reason: string): RuleRefusal {
  return new RuleRefusal(`${reference}: ${reason}`);
}

/**
 * Returns a path that a new commit of a reference changes although the rule does not allow it;
 * `undefined` if there is none. New commits are those that neither its old value nor HEAD leads to;
 * of a merge only what differs from all its parents counts.
 */
async function pathOutside(
  repository: GitRepository,
  rule: ReferenceRule,
  { newOid, oldOid }: Change,
  signal: AbortSignal,
): Promise<string | undefined> {
  const head = (await repository.refs.resolve('HEAD', { signal }))?.oid;
  const known = [oldOid, head].filter((oid) => oid !== undefined && !isZeroOid(oid));
  const options = ['--format=', '--name-only', '-z', '-c', '--root', '--no-renames', '--no-ext-diff'];
  const command = gitCommand('log', {
    options: options.map(flag),
    revisions: [newOid, ...known.map((oid) => `^${oid}`)],
  });
  const reading = { signal, delimiter: NUL, maxCpuSeconds: MAX_CPU_SECONDS };
  for await (const names of outputLines(repository, command, reading))
    for (const name of names) {
      const path = name.toString();
      if (path !== '' && !isInPaths(rule, path)) return path;
    }
  return undefined;
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
