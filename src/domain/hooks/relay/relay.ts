import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { isError } from '#base/is-error';
import type { HookOutput } from '../hook-output.ts';
import { type RelayCall, RelayParser } from './relay-parser.ts';

/**
 * Answers a hook: writes what the pusher shall read, resolves with the hook's exit status. A
 * rejection refuses the push.
 */
export type RelayHandler = (call: RelayCall, output: HookOutput) => Promise<number>;

/** Set for git, so that the script knows that descriptors 3 and 4 are ours. */
export const RELAY_ENVIRONMENT = { GITALY_HOOKS_RELAY: '1' } as const;
/** Descriptors that a command with relayed hooks needs in addition to the standard ones. */
export const RELAY_PIPES = 2;

/**
 * All that a pusher learns of a hook that could not be answered; the reason may hold what is not
 * for them.
 */
const FAILURE_TEXT = Buffer.from('error executing git hook\n');

/** Shows the pusher a piece of a hook's output; resolves when there is space for more. */
export type Print = (bytes: Uint8Array) => Promise<void>;

/**
 * Answers one hook, and returns its exit status. Both streams of its output go to the same place.
 *
 * @param onError receives the reason when the call could not be answered; the hook then fails with
 * a text that gives no details.
 */
export function answerHook(
  handle: RelayHandler,
  call: RelayCall,
  print: Print,
  onError: (error: unknown) => void,
): Promise<number> {
  return handle(call, { stdout: print, stderr: print }).catch(async (error: unknown) => {
    onError(error);
    await print(FAILURE_TEXT);
    return 1;
  });
}

/**
 * Serves the hooks of one git process until the process and all its children have closed their
 * ends.
 *
 * @param requests this process's end of descriptor 3.
 * @param answers this process's end of descriptor 4.
 * @param onError receives the reason when a call could not be answered; the hook then fails with a
 * text that gives no details.
 */
export async function serveRelay(
  requests: Duplex,
  answers: Duplex,
  handle: RelayHandler,
  onError: (error: unknown) => void,
): Promise<void> {
  const parser = new RelayParser();
  let printed: (() => void) | undefined;
  let busy: Promise<void> = Promise.resolve();
  try {
    for await (const chunk of requests) {
      for (const event of parser.push(chunk)) {
        if (event === 'printed') printed?.();
        // The script waits for its answer before it sends anything but `K`, so at most one call is
        // active.
        else busy = answer(event);
      }
    }
  } catch (error) {
    if (!isClosedByUs(error)) onError(error);
  } finally {
    answers.destroy(); // the end of the file makes a waiting script stop; the loop has ended the other
    printed?.();
    await busy;
  }

  async function answer(call: RelayCall): Promise<void> {
    let last = Promise.resolve();
    // Both streams of a hook are sent on the same band of the answer to the client, one piece at a
    // time.
    const print = (bytes: Uint8Array): Promise<void> => {
      last = last.then(() => printNow(bytes));
      return last;
    };
    try {
      const status = await answerHook(handle, call, print, onError);
      await write(answers, `X ${status & 0xff}\n`);
    } catch (error) {
      // The script has ended, or this server's end is closed; the script then sees the end of file.
      onError(error);
      answers.destroy();
    }
  }

  async function printNow(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    printed = resolve;
    await write(answers, `B ${bytes.length}\n`);
    await write(answers, bytes);
    await promise;
    printed = undefined;
  }
}

async function write(stream: Duplex, bytes: Uint8Array | string): Promise<void> {
  if (stream.destroyed) throw new Error('hook relay: the hook is gone');
  if (!stream.write(bytes)) await Promise.race([once(stream, 'drain'), once(stream, 'close')]);
}

/** Reports whether the sockets were closed because the process was ended. */
function isClosedByUs(error: unknown): boolean {
  return isError(error) && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}
