import { isError } from '#base/is-error';
import { joinObjectDirectories } from '#git/command/object-directory-list';
import { abortError } from '#git/command/process/exit-error';
import { createPackedRefs } from '#git/refs/update/create-packed-refs';
import { RefTransaction } from '#git/refs/update/ref-transaction';
import type { Quarantine } from '#storage/quarantine/quarantine';
import { SERVED, type ServiceResult } from '../git-service/service-streams.ts';
import type { RelayedHook } from '../hooks/hooks-directories.ts';
import type { ProvedPush } from './prove-push.ts';
import type { Push } from './push.ts';
import { PushBands } from './push-bands.ts';
import type { HookInput, PushHooks } from './push-hooks.ts';
import type { PushCommand } from './push-request.ts';
import { refRefusal } from './ref-refusal.ts';

/** Outcome of one change: its reason in the report if it was refused. */
type Outcome = 'made' | { readonly reason: string };

/** git's words when the objects cannot be moved. */
const NOT_MIGRATED = 'unable to migrate objects to permanent storage';
/** git's words when the nodes of a cluster do not agree. */
const ABORTED = {
  named: "fatal: in 'prepared' phase, update aborted by the reference-transaction hook\n",
  short: 'fatal: ref updates aborted by hook\n',
};

/**
 * Runs the hooks of a push, changes its references and reports to the client, in the order of
 * `git receive-pack` after it has got the objects.
 *
 * @throws {ClientGoneError} when the client does not take the output: before the change it is not
 *   made, after it the hooks have run.
 */
export async function applyPush(push: Push, proved: ProvedPush, hooks: PushHooks): Promise<ServiceResult> {
  const application = new Application(push, proved, hooks);
  const outcomes = await application.change();
  if (outcomes === 'aborted') return await application.aborted();
  return await application.report(outcomes);
}

class Application {
  readonly #push: Push;
  readonly #proved: ProvedPush;
  readonly #hooks: PushHooks;
  readonly #bands: PushBands;

  constructor(push: Push, proved: ProvedPush, hooks: PushHooks) {
    this.#push = push;
    this.#proved = proved;
    this.#hooks = hooks;
    this.#bands = new PushBands(push.streams.stdout);
  }

  /** Returns the outcome of each change, or `aborted` for the end of receive-pack. */
  async change(): Promise<readonly Outcome[] | 'aborted'> {
    const { creations, quarantine, request, warnings } = this.#proved;
    const { commands } = request;
    const refused = (reason: string): readonly Outcome[] => commands.map(() => ({ reason }));
    await this.#bands.output(warnings);
    if (!(await this.#preReceive())) return refused('pre-receive hook declined');
    if (!(await this.#keepsObjects(quarantine))) return refused(NOT_MIGRATED);
    const { repository, signal } = this.#push;
    if (creations !== undefined && (await createPackedRefs(repository, creations, signal)))
      return commands.map(() => 'made');
    const outcomes: Outcome[] = [];
    for (const command of commands) {
      const outcome = await this.#changeOne(command);
      if (outcome === 'aborted') return outcome;
      outcomes.push(outcome);
    }
    return outcomes;
  }

  async #changeOne(command: PushCommand): Promise<Outcome | 'aborted'> {
    const { reference, oldOid, newOid } = command;
    const args = [reference, Buffer.from(oldOid), Buffer.from(newOid)];
    if (!(await this.#accepts('update', { args }))) {
      await this.#bands.error(Buffer.concat([Buffer.from('hook declined to update '), reference]));
      return { reason: 'hook declined' };
    }
    return await this.#update(command);
  }

  async #keepsObjects(quarantine: Quarantine): Promise<boolean> {
    try {
      await quarantine.migrate();
      return true;
    } catch (error) {
      this.#hooks.warn('failed moving the objects of a push into the repository', error);
      return false;
    }
  }

  async #preReceive(): Promise<boolean> {
    const { request, quarantine } = this.#proved;
    const environment = {
      GIT_OBJECT_DIRECTORY: quarantine.repository.objectDirectory,
      GIT_ALTERNATE_OBJECT_DIRECTORIES: joinObjectDirectories([this.#push.repository.objectDirectory]),
    };
    const { commands, pushOptions } = request;
    return await this.#accepts('pre-receive', { environment, pushOptions, stdin: linesOf(commands) });
  }

  async #accepts(hook: RelayedHook, input: HookInput): Promise<boolean> {
    if (!this.#hooks.needed.has(hook)) return true;
    const accepting = this.#hooks.accepts(hook, input, (bytes) => this.#bands.output(bytes));
    const isAccepted = await this.#bands.whileAlive(accepting);
    const { signal } = this.#push;
    if (signal.aborted) throw abortError(signal);
    return isAccepted;
  }

  async #update(command: PushCommand): Promise<Outcome | 'aborted'> {
    const { repository, signal } = this.#push;
    const { reference, oldOid, newOid } = command;
    const { isAtomic } = this.#proved.request;
    await using transaction = await RefTransaction.start(repository, { signal });
    try {
      await transaction.update(reference, { oldOid, newOid });
      if (!this.#hooks.needed.has('reference-transaction')) {
        await transaction.commit();
        return 'made';
      }
      await transaction.prepare();
      if (!(await this.#votes('prepared', command))) return 'aborted';
      await transaction.commit();
    } catch (error) {
      const stderr = transaction.process.stderrHead;
      const { capabilities } = repository.git;
      const refused = { isAtomic, path: repository.path, capabilities };
      const refusal = signal.aborted || !isError(error) ? undefined : refRefusal(stderr, refused);
      if (refusal === undefined) throw error;
      // The transaction goes on without its only change.
      if (refusal.isRejected && !(await this.#votes('prepared', command))) return 'aborted';
      if (refusal.isRejected) await this.#votes('committed', command);
      if (refusal.message !== undefined) await this.#bands.error(refusal.message);
      return { reason: refusal.reason };
    }
    await this.#votes('committed', command);
    return 'made';
  }

  /** Calls the hook whose output the client does not get in a band. */
  async #votes(state: 'prepared' | 'committed', command: PushCommand): Promise<boolean> {
    const { repository, streams } = this.#push;
    const { oldOid, newOid, reference } = command;
    // Until 2.48 git adds a line for the reflog of HEAD.
    const isOfHead = reference.toString('latin1') === this.#proved.head;
    const lines =
      isOfHead && !repository.git.capabilities.hooksOmitReflogs
        ? [linesOf([command]), Buffer.from(`${oldOid} ${newOid} HEAD\n`)]
        : [linesOf([command])];
    const call = { args: [Buffer.from(state)], stdin: Buffer.concat(lines) };
    return await this.#hooks.accepts('reference-transaction', call, async (bytes) => {
      streams.stderr?.write(bytes);
    });
  }

  /** Ends like git, which dies of a refusal by its reference-transaction hook. */
  async aborted(): Promise<ServiceResult> {
    const { repository, streams } = this.#push;
    const stderr = repository.git.capabilities.namesHookPhase ? ABORTED.named : ABORTED.short;
    streams.stderr?.write(stderr);
    return { exit: { ...SERVED.exit, code: 128 }, stderr };
  }

  async report(outcomes: readonly Outcome[]): Promise<ServiceResult> {
    const { request } = this.#proved;
    const { commands } = request;
    const made = commands.filter((_, index) => outcomes[index] === 'made');
    const statuses = commands.map(({ reference }, index) => statusOf(reference, outcomes[index]));
    const lines = request.report ? [Buffer.from('unpack ok\n'), ...statuses] : [];
    const runsHook = made.length > 0 && this.#hooks.needed.has('post-receive');
    const reported = this.#bands.report(lines, !runsHook);
    if (!runsHook) {
      await reported;
      return SERVED;
    }
    // The change is made, so the hook runs even if the client has gone.
    const failure = await reported.then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    await this.#accepts('post-receive', { pushOptions: request.pushOptions, stdin: linesOf(made) });
    if (failure !== undefined) throw failure.error;
    await this.#bands.end();
    return SERVED;
  }
}

/** Returns the input of hooks: `<old> <new> <reference>\n` for each change. */
function linesOf(commands: readonly PushCommand[]): Buffer {
  return Buffer.concat(
    commands.flatMap(({ oldOid, newOid, reference }) => [
      Buffer.from(`${oldOid} ${newOid} `),
      reference,
      Buffer.from('\n'),
    ]),
  );
}

function statusOf(reference: Buffer, outcome: Outcome | undefined): Buffer {
  const isMade = outcome === 'made';
  const end = isMade ? '\n' : ` ${outcome?.reason}\n`;
  return Buffer.concat([Buffer.from(isMade ? 'ok ' : 'ng '), reference, Buffer.from(end)]);
}
