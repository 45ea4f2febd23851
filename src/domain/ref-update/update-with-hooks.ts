import { wrap } from '#base/gitaly-error';
import type { ObjectFormatName } from '#git/object-format';
import { objectIdProblem } from '#git/objects/object-id';
import { RefTransaction } from '#git/refs/ref-transaction';
import type { Quarantine } from '#storage/quarantine';
import type { Repository } from '#storage/repository';
import { CapturedOutput } from '../hooks/captured-output.ts';
import type { CustomHookName } from '../hooks/custom-hook-files.ts';
import type { HookCall } from '../hooks/hook-call.ts';
import type { HookManager } from '../hooks/hook-manager.ts';
import { HOOK_BITS, type HooksPayload, type PushUser } from '../hooks/payload.ts';
import type { ReferenceTransactionState } from '../hooks/reference-transaction.ts';
import { customHookErrorOf } from '../hooks/run-custom-hooks.ts';
import type { Transaction } from '../transactions/transaction.ts';
import { ReferenceUpdateError, withOutput } from './refusals.ts';

/** On whose behalf, and for which request, a reference changes. */
export interface UpdateContext {
  readonly user: PushUser;
  /** What the cluster votes on; `undefined` without a cluster. */
  readonly transaction: Transaction | undefined;
  /** Opaque bytes that go to GitLab's internal API. */
  readonly clientContext: Buffer | undefined;
  readonly correlationId: string;
  readonly signal: AbortSignal;
}

/** A change of one reference. */
export interface ReferenceUpdate {
  readonly repository: Repository;
  /** Where the change's objects are; they become part of the repository once pre-receive has agreed. */
  readonly quarantine?: Quarantine | undefined;
  /** Full name; a symbolic reference stays, what it leads to changes. */
  readonly reference: Uint8Array;
  /** What must be there now; zeros: nothing. */
  readonly oldOid: string;
  /** What will be there; zeros: nothing. */
  readonly newOid: string;
  readonly pushOptions?: readonly string[] | undefined;
}

const HOOKS = HOOK_BITS['reference-transaction'] | HOOK_BITS.update | HOOK_BITS['pre-receive'] | HOOK_BITS['post-receive'];

/**
 * Changes a reference as if the user had pushed: GitLab and the operator's hooks may refuse, the cluster votes, and everybody hears of it
 * afterwards. This is the order, the same for every change that the server makes on behalf of a user. When a step fails, those after it
 * do not happen; up to the commit the reference is as it was.
 *
 * @throws {GitalyError} with a code only where something inside has one; `refusalOf` tells who refused. `running pre-receive hooks: …`,
 *   `running update hooks: …`, `reference update: …`, `executing … reference-transaction hook: …`, `running post-receive hooks: …`.
 */
export async function updateWithHooks(manager: HookManager, update: ReferenceUpdate, context: UpdateContext): Promise<void> {
  const { repository, quarantine, oldOid, newOid } = update;
  const objectFormat = repository.git.objectFormat(repository);
  checkUpdate(update, objectFormat);
  const reference = Buffer.from(update.reference);
  const changes = Buffer.concat([Buffer.from(`${oldOid} ${newOid} `), reference, Buffer.from('\n')]);
  const output = new CapturedOutput();
  const payload = payloadOf(update, objectFormat, context);
  const callIn = (where: Repository): HookCall => ({
    repository: where,
    payload: { ...payload, repository: where.target },
    environment: {},
    pushOptions: update.pushOptions ?? [],
    output,
    signal: context.signal,
    correlationId: context.correlationId,
    remoteIp: context.user.remoteIp,
  });
  const vote = async (state: ReferenceTransactionState, which: string): Promise<void> => {
    await manager.referenceTransaction(callIn(repository), state, changes).catch((error: unknown) => {
      throw wrap(error, `executing ${which} reference-transaction hook`, 'UNKNOWN');
    });
  };

  // GitLab's access check and the operator's scripts; they see the new objects in the quarantine.
  const quarantined = quarantine?.repository ?? repository;
  await running('pre-receive', output, manager.preReceive(callIn(quarantined), changes));
  // From here on the objects are in the repository, whatever becomes of the reference: housekeeping removes what nothing leads to.
  await quarantine?.migrate();
  await running('update', output, manager.update(callIn(repository), { reference, oldValue: oldOid, newValue: newOid }));

  await using transaction = await RefTransaction.start(repository.git, repository, { hooks: 'disabled', signal: context.signal });
  const byGit = async (step: Promise<void>): Promise<void> => {
    await step.catch((error: unknown) => {
      throw error instanceof Error ? new ReferenceUpdateError({ reference, oldOid, newOid }, error) : error;
    });
  };
  await byGit(transaction.update(reference, { newOid, oldOid }));
  await vote('preparing', 'pre-locked');
  // To prepare is to make sure before the nodes agree. Without a cluster it is a part of the commit.
  if (context.transaction !== undefined) await byGit(transaction.prepare());
  await vote('prepared', 'preparatory');
  await byGit(transaction.commit());
  await vote('committed', 'committing');

  // The reference has changed; a script that fails now is nobody's problem but the operator's.
  await running('post-receive', output, manager.postReceive(callIn(repository), changes)).catch((error: unknown) => {
    if (customHookErrorOf(error) === undefined) throw error;
    manager.warn('post-receive hook returned an error', error);
  });
}

/** @throws {Error} for what no caller lets through. */
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

function payloadOf({ repository }: ReferenceUpdate, objectFormat: ObjectFormatName, context: UpdateContext): HooksPayload {
  return {
    requestedHooks: HOOKS,
    featureFlags: [],
    repository: repository.target,
    objectFormat,
    // Nobody dials: the hooks run in this process.
    runtimeDirectory: '',
    internalSocket: '',
    internalSocketToken: '',
    transaction: context.transaction,
    user: context.user,
    transactionId: 0,
    clientContext: context.clientContext,
  };
}
