import { randomUUID } from 'node:crypto';
import { uptime } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import type { Clock, NonceSource } from './environment.ts';

/** The clock of this machine. It goes on while the machine is suspended, as CLOCK_BOOTTIME does. */
export function systemClock(signal: AbortSignal): Clock {
  return {
    nowMs: () => uptime() * 1000,
    wallMs: () => Date.now(),
    sleep: async (ms) => await setTimeout(ms, undefined, { signal }),
  };
}

export const systemRandom: NonceSource = { nonce: () => randomUUID() };
