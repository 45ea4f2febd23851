import { wrap, wrapped } from '#base/gitaly-error';
import { isError } from '#base/is-error';
import { objectIdProblem } from '#git/names/object-id';
import { RefTransaction } from '#git/refs/update/ref-transaction';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import type { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import type { PushRules } from '#tokens/push-rules';
import { CapturedOutput } from '../hooks/captured-output.ts';
import type { CustomHookName } from '../hooks/custom-hook-files.ts';
import type { HookCall } from '../hooks/hook-call.ts';
import type { HookManager } from '../hooks/hook-manager.ts';
import type { PushUser } from '../hooks/payload.ts';
import type { ReferenceTransactionState } from '../hooks/reference-transaction.ts';
import { customHookErrorOf } from '../hooks/run-custom-hooks.ts';
import { namedReferences } from '../transactions/named-references.ts';
import type { Transaction } from '../transactions/transaction.ts';
import { ReferenceUpdateError, UpdateFailedError, withOutput } from './refusals.ts';

/** The user and the call for which a reference changes, and the hooks that are called. */
export interface UpdateContext {
  readonly hooks: HookManager;
  readonly user: PushUser;
  /** The vote of the cluster; `undefined` without a cluster. */
  readonly transaction: Transaction | undefined;
  /** Opaque bytes that go to GitLab's internal API. */
  readonly clientContext: Buffer | undefined;
  /** Rules of the token with which the user came to a gateway. */
  readonly pushRules?: PushRules | undefined;
  readonly correlationId: string;
  readonly signal: AbortSignal;
}

/** A reference with its value before and after a change. */
export interface NewValue {
  /** Full name. If it is symbolic, the reference that it leads to changes. */
  readonly reference: Uint8Array;
  /** The value that it must have now; zeros if it must not exist. */
  readonly oldOid: string;
  /** The value that it gets; zeros to delete it. */
  readonly newOid: string;
  readonly pushOptions?: readonly string[] | undefined;
}

/** A value whose objects may still be in memory. */
export interface PreparedValue extends NewValue {
  /** Called when the objects are in the repository. */
  readonly onKept?: (() => void) | undefined;
  /** Writes them into the repository, before the hooks run. */
  readonly writeObjects?: () => Promise<void>;
}

/** A change of one reference of a repository. */
export interface ReferenceUpdate extends NewValue {
  readonly repository: Repository;
  /** Holds the change's objects until pre-receive accepts them. */
  readonly quarantine?: Quarantine | undefined;
  /** They are in the repository already, although they may be new. */
  readonly isUnquarantined?: boolean | undefined;
  /** Called when they are in the repository. */
  readonly onKept?: (() => void) | undefined;
}

/**
 * Changes a reference as if the user had pushed: GitLab and the operator's hooks may refuse, the
 * cluster votes, and all are notified afterwards. The order of the steps is the same for every
 * change that the server makes on behalf of a user. When a step fails, the later ones are skipped;
 * until the commit the reference keeps its value.
 *
 * @throws {UpdateFailedError} The cause's message begins with `running pre-receive hooks: `,
 *   `running update hooks: `, `reference update: `, `executing … reference-transaction hook: ` or
 *   `running post-receive hooks: `; it has a code only if its own cause has one.
 */
export async function updateWithHooks(update: ReferenceUpdate, context: UpdateContext): Promise<void> {
  try {
    await runUpdate(update, context);
  } catch (error) {
    throw new UpdateFailedError(error);
  }
}

async function runUpdate(update: ReferenceUpdate, context: UpdateContext): Promise<void> {
  const { hooks } = context;
  const { repository, quarantine, oldOid, newOid } = update;
  checkUpdate(update, repository.objectFormat);
  const reference = Buffer.from(update.reference);
  const changes = Buffer.concat([Buffer.from(`${oldOid} ${newOid} `), reference, Buffer.from('\n')]);
  const output = new CapturedOutput();
  const references = context.transaction && namedReferences(repository, [{ name: reference, newOid }]);
  const callIn = (where: Repository): HookCall => hookCall(where, update, context, output);
  const vote = async (state: ReferenceTransactionState, which: string): Promise<void> => {
    const call = { ...callIn(repository), references };
    await hooks
      .referenceTransaction(call, state, changes)
      .catch(wrapped(`executing ${which} reference-transaction hook`, 'UNKNOWN'));
  };

  // GitLab's access check and the operator's scripts; they see the new objects in the quarantine.
  const quarantined = quarantine?.repository ?? repository;
  await running('pre-receive', output, hooks.preReceive(callIn(quarantined), changes));
  // From here on the objects are in the repository even if the reference does not change:
  // housekeeping removes unreachable ones.
  await quarantine?.migrate();
  update.onKept?.();
  await running(
    'update',
    output,
    hooks.update(callIn(repository), { reference, oldValue: oldOid, newValue: newOid }),
  );

  await using transaction = await RefTransaction.start(repository, { signal: context.signal });
  const byGit = async (step: Promise<void>): Promise<void> => {
    await step.catch((error: unknown) => {
      throw isError(error) ? new ReferenceUpdateError({ reference, oldOid, newOid }, error) : error;
    });
  };
  await byGit(transaction.update(reference, { newOid, oldOid }));
  await vote('preparing', 'pre-locked');
  // Locks are taken before the nodes agree. Without a cluster the commit takes them.
  if (context.transaction !== undefined) await byGit(transaction.prepare());
  await vote('prepared', 'preparatory');
  await byGit(transaction.commit());
  await vote('committed', 'committing');

  // The reference has changed: a script that fails now is logged for the operator.
  await running('post-receive', output, hooks.postReceive(callIn(repository), changes)).catch(
    (error: unknown) => {
      if (customHookErrorOf(error) === undefined) throw error;
      hooks.warn('post-receive hook returned an error', error);
    },
  );
}

/** Returns the call of a hook that sees the objects of `where`. */
function hookCall(
  where: Repository,
  { repository, isUnquarantined, pushOptions = [] }: ReferenceUpdate,
  { clientContext, correlationId, pushRules, signal, transaction, user }: UpdateContext,
  output: CapturedOutput,
): HookCall {
  const { objectFormat } = repository;
  return {
    repository: where,
    payload: { repository: where.target, objectFormat, transaction, user, clientContext },
    isUnquarantined,
    environment: {},
    pushOptions,
    pushRules,
    output,
    signal,
    correlationId,
    remoteIp: user.remoteIp,
  };
}

/** @throws {Error} for values that every caller has excluded. */
function checkUpdate({ reference, oldOid, newOid }: ReferenceUpdate, objectFormat: ObjectFormatName): void {
  if (reference.length === 0) throw new Error('reference cannot be empty');
  for (const [which, oid] of [['old', oldOid] as const, ['new', newOid] as const]) {
    const problem = objectIdProblem(oid, objectFormat);
    if (problem !== undefined) throw new Error(`validating ${which} value: ${problem}`);
  }
}

async function running(hook: CustomHookName, output: CapturedOutput, run: Promise<void>): Promise<void> {
  await run.catch((error: unknown) => {
    throw wrap(withOutput(error, hook, output), `running ${hook} hooks`, 'UNKNOWN');
  });
}
