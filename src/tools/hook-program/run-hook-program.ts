import { messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { BareConnection } from '#client/bare-connection';
import type { Stdio } from '#client/git/git-streams';
import { decodeHooksPayload, HOOK_BITS, type HooksPayload } from '#domain/hooks/payload';
import { REMOTE_IP, USER_ID, USERNAME } from '#rpc/common/header-names';
import { type HelperEnvironment, helperLogger } from '../helper-log.ts';
import { HookError, pushOptionsOf, type RunHook } from './hook-run.ts';
import type { ReceiveHook } from './receive-hooks.ts';

const PROGRAM = 'gitaly-hooks';
/** The only text about internal failures that is shown to the user. */
const FAILED = 'error executing git hook';

/**
 * Most hooks of most pushes are not requested, so the code that calls a server is loaded on demand.
 */
const packObjects: RunHook = async (call) => (await import('./pack-objects-hook.ts')).packObjectsHook(call);
const receive = (name: ReceiveHook): RunHook => {
  return async (call) => (await import('./receive-hooks.ts')).RECEIVE_HOOKS[name](call);
};

interface Hook {
  readonly bit: number;
  readonly run: RunHook;
  readonly args: readonly string[];
}

/**
 * Runs a git hook for a script or another server: forwards the call to the server named by
 * `GITALY_HOOKS_PAYLOAD`, prints the response and returns its status. Invocations, texts and exit
 * codes are Gitaly's (15.0 to 19.0).
 *
 * @param invokedAs name under which the program was started: `gitaly-hooks`, or that of a hook.
 *   `gitaly-hooks <hook>` works too.
 * @returns the exit code.
 */
export async function runHookProgram(
  invokedAs: string,
  args: readonly string[],
  environment: HelperEnvironment,
  io: Stdio,
): Promise<number> {
  try {
    return await runHook(hookOf(invokedAs, args), environment, io);
  } catch (error) {
    io.stderr.write(`${FAILED}\n`);
    helperLogger(PROGRAM, environment).error({ error: messageOf(error) }, FAILED);
    if (error instanceof HookError && error.clientMessage !== '') io.stderr.write(`${error.clientMessage}\n`);
    return 1;
  }
}

function hookOf(invokedAs: string, args: readonly string[]): Hook {
  if (invokedAs !== PROGRAM) return receiveHook(invokedAs, args);
  const [name, ...rest] = args;
  if (name === undefined) throw new Error(`requires hook name. args: [${PROGRAM}]`);
  return name === 'git'
    ? { bit: HOOK_BITS['pack-objects'], run: packObjects, args: rest }
    : receiveHook(name, rest);
}

function receiveHook(name: string, args: readonly string[]): Hook {
  if (!isReceiveHook(name)) throw new Error(`subcommand name invalid: ${quote(name)}`);
  return { bit: HOOK_BITS[name], run: receive(name), args };
}

function isReceiveHook(name: string): name is ReceiveHook {
  return name !== 'pack-objects' && Object.hasOwn(HOOK_BITS, name);
}

async function runHook({ bit, run, args }: Hook, environment: HelperEnvironment, io: Stdio): Promise<number> {
  const environmentVariables = Object.entries(environment).map(([name, value = '']) => `${name}=${value}`);
  const payload = readPayload(environmentVariables);
  if ((payload.requestedHooks & bit) === 0) return 0;
  await using connection = await connect(payload, environment);
  const pushOptions = pushOptionsOf(environment);
  return (await run({ connection, payload, environmentVariables, pushOptions, args, io })) & 0xff;
}

function readPayload(environmentVariables: readonly string[]): HooksPayload {
  try {
    return decodeHooksPayload(environmentVariables);
  } catch (error) {
    throw new Error(`error when getting hooks payload: ${messageOf(error)}`, { cause: error });
  }
}

async function connect(
  payload: HooksPayload,
  { CORRELATION_ID, traceparent }: HelperEnvironment,
): Promise<BareConnection> {
  const { internalSocket, internalSocketToken, user, featureFlags } = payload;
  const { dialBare } = await import('#client/dial-bare');
  return await dialBare(`unix://${internalSocket}`, {
    clientName: PROGRAM,
    featureFlags: Object.fromEntries(featureFlags.map(({ name, enabled }) => [name, enabled])),
    ...(internalSocketToken && { token: internalSocketToken }),
    ...(CORRELATION_ID && { correlationId: CORRELATION_ID }),
    ...(traceparent && { traceContext: () => ({ traceparent }) }),
    ...(user && {
      metadata: { [USER_ID]: user.userId, [USERNAME]: user.username, [REMOTE_IP]: user.remoteIp },
    }),
  });
}
