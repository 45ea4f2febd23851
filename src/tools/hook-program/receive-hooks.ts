import { Readable } from 'node:stream';
import { wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { followCommand } from '#client/git/remote-command';
import { StdinRequests } from '#client/git/stdin-requests';
import { HookService, ReferenceTransactionHookRequest_State as State } from '#wire/gen/hook_pb';
import type { HookRun, RunHook } from './hook-run.ts';

const STATES: Readonly<Record<string, State>> = {
  prepared: State.PREPARED,
  committed: State.COMMITTED,
  aborted: State.ABORTED,
};

/**
 * State in which git, since 2.54, runs the hook before it takes its locks; there is no vote on it.
 */
const BEFORE_LOCKS = 'preparing';

/** The hooks of a push, by git's names. Error texts are Gitaly's. */
export const RECEIVE_HOOKS = {
  'pre-receive': (call) => {
    const { connection, pushOptions: gitPushOptions } = call;
    const requests = withStdin({ ...common(call), gitPushOptions }, call);
    return follow('pre-receive', connection.client(HookService).preReceiveHook(requests), requests, call);
  },
  'post-receive': (call) => {
    const { connection, pushOptions: gitPushOptions } = call;
    const requests = withStdin({ ...common(call), gitPushOptions }, call);
    return follow('post-receive', connection.client(HookService).postReceiveHook(requests), requests, call);
  },
  update: (call) => {
    const [ref = '', oldValue = '', newValue = ''] = call.args;
    if (call.args.length !== 3)
      throw new Error(`update hook expects exactly three arguments, got ${quoteList(call.args)}`);
    const response = call.connection
      .client(HookService)
      .updateHook({ ...common(call), ref: Buffer.from(ref), oldValue, newValue });
    return follow('update', response, new StdinRequests({}, Readable.from([]), () => ({})), call);
  },
  'reference-transaction': (call) => {
    const [word = ''] = call.args;
    if (call.args.length !== 1) {
      throw new Error(
        `reference-transaction hook is missing required arguments, got ${quoteList(call.args)}`,
      );
    }
    if (word === BEFORE_LOCKS) return Promise.resolve(0);
    const state = Object.hasOwn(STATES, word) ? STATES[word] : undefined;
    if (state === undefined) throw new Error(`reference-transaction hook has invalid state: ${quote(word)}`);
    const requests = withStdin({ ...common(call), state }, call);
    return follow(
      'reference-transaction',
      call.connection.client(HookService).referenceTransactionHook(requests),
      requests,
      call,
    );
  },
  'proc-receive': (call) => {
    if (call.args.length > 0)
      throw new Error(`proc-receive hook does not accept arguments, got ${call.args.length}`);
    const requests = withStdin(common(call), call);
    return follow(
      'proc-receive',
      call.connection.client(HookService).procReceiveHook(requests),
      requests,
      call,
    );
  },
} as const satisfies Readonly<Record<string, RunHook>>;

export type ReceiveHook = keyof typeof RECEIVE_HOOKS;

function common({ payload: { repository }, environmentVariables }: HookRun) {
  const { gitAlternateObjectDirectories = [] } = repository;
  return {
    repository: { ...repository, gitAlternateObjectDirectories: [...gitAlternateObjectDirectories] },
    environmentVariables,
  };
}

/** Yields a first request, followed by standard input. */
function withStdin<T extends object>(first: T, { io }: HookRun): StdinRequests<T | { stdin: Uint8Array }> {
  return new StdinRequests<T | { stdin: Uint8Array }>(first, io.stdin, (stdin) => ({ stdin }));
}

async function follow(
  name: string,
  response: Parameters<typeof followCommand>[0],
  requests: Parameters<typeof followCommand>[1],
  { io }: HookRun,
): Promise<number> {
  await using call = response;
  const result = followCommand(call, requests, io);
  return (await result.catch(wrapped(`error when receiving data for ${name} hook`))).exitCode;
}

function quoteList(words: readonly string[]): string {
  return `[${words.map(quote).join(' ')}]`;
}
