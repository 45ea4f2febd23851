import { readFileSync } from 'node:fs';
import { WORKER_COMMAND } from '#workers/worker-command';

if (process.argv.includes(WORKER_COMMAND)) {
  // The type of the file: the test writes it.
  const { at, moment } = JSON.parse(readFileSync(process.env.KILL_FILE ?? '', 'utf8')) as KillPoint;
  const counts = { send: 0, receive: 0 };
  const isDue = (message: unknown, direction: 'send' | 'receive'): boolean => {
    const { kind } = message as { readonly kind: string }; // of `LinkMessage`
    return moment.endsWith(direction) && COUNTED[direction].has(kind) && ++counts[direction] === at;
  };
  const die = (): void => {
    process.kill(process.pid, 'SIGKILL');
  };

  const send = process.send?.bind(process);
  process.send = (message: unknown, ...rest: unknown[]): boolean => {
    if (!isDue(message, 'send')) return Reflect.apply(send ?? die, undefined, [message, ...rest]);
    if (moment === 'before send') die();
    return Reflect.apply(send ?? die, undefined, [message, die]);
  };
  const listen = process.on.bind(process);
  Reflect.set(process, 'on', (event: string, listener: (...args: unknown[]) => void) =>
    Reflect.apply(listen, undefined, [
      event,
      event !== 'message'
        ? listener
        : (message: unknown, ...rest: unknown[]) => {
            const dies = isDue(message, 'receive');
            if (dies && moment === 'before receive') die();
            listener(message, ...rest);
            if (dies) die();
          },
    ]),
  );
}

export const MOMENTS = ['before send', 'after send', 'before receive', 'after receive'] as const;

/** When a worker dies: at this message of those that are about leases, counted from 1. */
export interface KillPoint {
  readonly at: number;
  readonly moment: (typeof MOMENTS)[number];
}

/** Kinds of messages about leases, as a worker sends and receives them. Metrics are asked of it. */
const COUNTED: Readonly<Record<'send' | 'receive', ReadonlySet<string>>> = {
  send: new Set(['ask', 'end', 'remark']),
  receive: new Set(['answer', 'failure', 'note', 'recall']),
};
