import { realpathSync } from 'node:fs';
import { posix } from 'node:path';
import { LoopSlice } from '#base/async/loop-turns';
import type { GitRepository } from '#git/repository';
import { quarantineOf } from '../access.ts';
import type { HookCall } from '../hook-call.ts';

/** The rules of a token or a repository refuse a push. The message names the rule. */
export class RuleRefusal extends Error {
  override readonly name = 'RuleRefusal';
}

export interface PushChange {
  readonly oldOid: string;
  readonly newOid: string;
  /** Bytes as latin1, for git; text for the rules. */
  readonly reference: Buffer;
}

export type RulesOwner = 'token' | 'repository';

/** A push that is checked. Nothing has changed yet. */
export interface PushChanges {
  /** With the objects of the push, which are in quarantine. */
  readonly repository: GitRepository;
  readonly changes: Iterable<PushChange>;
  readonly signal: AbortSignal;
  readonly correlationId: string;
  /** Name of the user, or the id of one without a name. */
  readonly user: string;
  /** The owner of the rules, for messages. */
  readonly owner: RulesOwner;
}

/**
 * Returns what a push changes.
 *
 * @param lines `<old> <new> <reference>\n`, parsed at each iteration. @throws {RuleRefusal} then.
 */
export function pushChanges(call: HookCall, lines: Buffer, owner: RulesOwner): PushChanges {
  const { correlationId, signal } = call;
  const { userId = '', username = '' } = call.payload.user ?? {};
  const changes = { [Symbol.iterator]: () => parseChanges(lines) };
  const user = username === '' ? userId : username;
  return { repository: quarantined(call), changes, signal, correlationId, user, owner };
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

function* parseChanges(changes: Buffer): Generator<PushChange> {
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

/** Checks each change of a push. @throws what `check` throws. */
export async function checkEach(
  push: PushChanges,
  check: (change: PushChange) => Promise<void>,
): Promise<void> {
  const slice = new LoopSlice();
  for (const change of push.changes) {
    await check(change);
    await slice.pause(push.signal);
  }
}
