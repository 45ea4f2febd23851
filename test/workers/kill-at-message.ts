// Loaded before a server (`node --import`): its workers die at a message of their channel. The file
// `KILL_FILE` has the message and the moment as JSON when the worker starts.

import { readFileSync } from 'node:fs';
import { WORKER_COMMAND } from '#workers/worker-command';
import { COUNTED, type KillPoint } from './kill-point.ts';

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
