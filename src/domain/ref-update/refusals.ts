import { codeOf, GitalyError, messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { isError } from '#base/is-error';
import type { UncheckedRefName } from '#git/names/ref-name';
import type { CapturedOutput } from '../hooks/captured-output.ts';
import type { CustomHookName } from '../hooks/custom-hook-files.ts';
import { NotAllowedError } from '../hooks/not-allowed-error.ts';
import { RuleRefusal } from '../hooks/push-rules/push-changes.ts';
import { customHookErrorOf } from '../hooks/run-custom-hooks.ts';

type PrintedOutput = Pick<CapturedOutput, 'stderrBytes' | 'stdoutBytes'>;

/**
 * An operator's script, or a rule, refused a change. The message is the script's unchanged
 * output: clients search for prefixes in it.
 */
export class HookRefusedError extends Error {
  override readonly name = 'HookRefusedError';
  readonly hook: CustomHookName;
  /** Output of this hook and of those before it. */
  readonly stdout: Buffer;
  readonly stderr: Buffer;

  constructor(hook: CustomHookName, output: PrintedOutput, cause: Error) {
    super(printed(output) ?? cause.message, { cause });
    this.hook = hook;
    this.stdout = output.stdoutBytes;
    this.stderr = output.stderrBytes;
  }
}

/** git did not change the reference: it has another value, is locked, or has an invalid name. */
export class ReferenceUpdateError extends Error {
  override readonly name = 'ReferenceUpdateError';
  readonly reference: UncheckedRefName;
  readonly oldOid: string;
  readonly newOid: string;

  constructor(
    update: { readonly reference: UncheckedRefName; readonly oldOid: string; readonly newOid: string },
    cause: Error,
  ) {
    super(`reference update: ${cause.message}`, { cause });
    this.reference = update.reference;
    this.oldOid = update.oldOid;
    this.newOid = update.newOid;
  }
}

/** The party that refused a change (GitLab, an operator's script or git), with its error. */
export type Refusal =
  | { readonly by: 'access-check'; readonly error: NotAllowedError }
  | { readonly by: 'custom-hook'; readonly error: HookRefusedError }
  | { readonly by: 'git'; readonly error: ReferenceUpdateError };

/**
 * A change of a reference failed. The message is that of the cause; callers translate the cause, or
 * the refusal if there was one.
 */
export class UpdateFailedError extends Error {
  override readonly name = 'UpdateFailedError';
  override readonly cause: unknown;
  /** The first refusal among the causes; `undefined` for any other failure. */
  readonly refusal: Refusal | undefined;

  constructor(cause: unknown) {
    super(messageOf(cause));
    this.cause = cause;
    this.refusal = refusalOf(cause);
  }
}

function refusalOf(error: unknown): Refusal | undefined {
  for (let current = error; isError(current); current = current.cause) {
    if (current instanceof NotAllowedError) return { by: 'access-check', error: current };
    if (current instanceof HookRefusedError) return { by: 'custom-hook', error: current };
    if (current instanceof ReferenceUpdateError) return { by: 'git', error: current };
  }
  return undefined;
}

/**
 * Adds a hook's output to its error: a script's output becomes the message; after any other message
 * it is quoted.
 */
export function withOutput(error: unknown, hook: CustomHookName, output: CapturedOutput): unknown {
  if (!isError(error)) return error;
  if (customHookErrorOf(error) !== undefined) return new HookRefusedError(hook, output, error);
  // Clients show what a hook has printed.
  if (error instanceof RuleRefusal)
    return new HookRefusedError(
      hook,
      { stdoutBytes: Buffer.alloc(0), stderrBytes: Buffer.from(error.message) },
      error,
    );
  const { stderrBytes, stdoutBytes } = output;
  const stream = isBlank(stderrBytes) ? 'stdout' : 'stderr';
  const bytes = isBlank(stderrBytes) ? stdoutBytes : stderrBytes;
  if (isBlank(bytes)) return error;
  return new GitalyError(codeOf(error) ?? 'UNKNOWN', `${error.message}, ${stream}: ${quote(bytes)}`, {
    cause: error,
  });
}

function printed({ stderrBytes, stdoutBytes }: PrintedOutput): string | undefined {
  return [stderrBytes, stdoutBytes].find((bytes) => !isBlank(bytes))?.toString();
}

function isBlank(bytes: Buffer): boolean {
  return bytes.toString().trim() === '';
}
