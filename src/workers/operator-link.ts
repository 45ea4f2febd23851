import { Link, type LinkMessage } from './link.ts';

/** Set by a program that has a channel to the server that it starts, and asks it what it does. */
export const OPERATED_VARIABLE = 'GITALY_TS_OPERATED';

/** The child process at the other end of a channel. */
interface Child {
  readonly connected: boolean;
  send(message: LinkMessage, onSent: (error: Error | null) => void): boolean;
  on(event: 'message', receive: (message: unknown) => void): unknown;
  once(event: 'disconnect' | 'exit', close: () => void): unknown;
}

/**
 * Returns the channel to the program that has started this server with {@link OPERATED_VARIABLE};
 * `undefined` without one. It does not keep the process running, and its processes do not inherit
 * the variable.
 */
export function operatorLink(): Link | undefined {
  const isOperated = process.env[OPERATED_VARIABLE] !== undefined;
  delete process.env[OPERATED_VARIABLE];
  if (!isOperated || process.send === undefined) return undefined;
  const link = new Link((message) => {
    if (!process.connected) return false;
    return process.send?.(message, () => {}) ?? false; // a failure means that the other one has ended
  });
  process.on('message', (message) => link.receive(message, undefined));
  process.once('disconnect', () => link.close());
  process.channel?.unref();
  return link;
}

/** Returns the channel to a server that was started with {@link OPERATED_VARIABLE}. */
export function linkTo(child: Child): Link {
  const link = new Link((message) => child.connected && child.send(message, () => {})); // as above
  child.on('message', (message) => link.receive(message, undefined));
  child.once('disconnect', () => link.close());
  child.once('exit', () => link.close());
  return link;
}
