/** Returns a signal that Ctrl-C aborts, so that a run of tests can remove its directory. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  process.on('SIGINT', () => controller.abort());
  process.on('SIGTERM', () => controller.abort());
  return controller.signal;
}
