import { messageOf } from '#base/gitaly-error';
import { statusText } from '#base/go/status';
import { CallError } from '#client/call/call-error';

/** The inputs and outputs of a command. */
export interface CommandStreams {
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown };
}

/**
 * Runs a command of `gitaly`. A failure is reported as one line on standard error that begins with
 * the time, in the format of Go's log package.
 *
 * @returns the exit code of the command, or 1 after a failure.
 */
export async function runCommand(
  { stderr }: Pick<CommandStreams, 'stderr'>,
  command: () => Promise<number>,
): Promise<number> {
  try {
    return await command();
  } catch (error) {
    stderr.write(`${logTime(new Date())} ${goText(error)}\n`);
    return 1;
  }
}

/** Returns the message of an error; for a failed call in Go's format. */
export function goText(error: unknown): string {
  return error instanceof CallError ? statusText(error.code, error.message) : messageOf(error);
}

/** Waits for a result, and puts a heading before the text of a failure. */
export async function withHeading<T>(heading: string, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    throw new Error(`${heading}: ${goText(error)}`, { cause: error });
  }
}

/** Returns local time as Go's log package prints it: `2026/01/31 09:05:00`. */
export function logTime(now: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = [now.getFullYear(), now.getMonth() + 1, now.getDate()].map(two).join('/');
  return `${date} ${[now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join(':')}`;
}
