import { setTimeout } from 'node:timers/promises';

import type { StoreOperation } from './observed-store.ts';

const RETRY_DELAY_MS = 200;

/** Receives the repetitions of requests, and resumed reads. */
export type NoteRetry = (operation: StoreOperation, times?: number) => void;

export interface OpenServiceOptions {
  /** Bytes of the parts of a large object; 0 selects the default of the service. */
  readonly partBytes: number;
  readonly onRetry: NoteRetry;
}

/**
 * Waits for a random time that grows with the number of failures. @throws the reason of the signal.
 */
export async function waitBeforeRetry(failures: number, signal: AbortSignal): Promise<void> {
  const delayMs = RETRY_DELAY_MS * 2 ** failures * (0.5 + Math.random());
  await setTimeout(delayMs, undefined, { signal }).catch(() => signal.throwIfAborted());
}
