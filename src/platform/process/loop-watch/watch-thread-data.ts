/** Values that the main thread passes to the thread that watches its event loop. */
export interface WatchThreadData {
  /** One 64-bit number: `process.hrtime` of the last sign of life of the main thread. */
  readonly beat: SharedArrayBuffer;
  /** One 32-bit number: not 0 when the thread has to end. */
  readonly stop: SharedArrayBuffer;
  /** Silence of the main thread, in milliseconds, after which it is interrupted. */
  readonly limitMs: number;
  /**
   * JavaScript expression that interrupts it. Its value shows when to do so again, in milliseconds.
   */
  readonly interrupt: string;
}
