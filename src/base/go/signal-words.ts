const WORDS: Readonly<Partial<Record<NodeJS.Signals, string>>> = {
  SIGABRT: 'aborted',
  SIGBUS: 'bus error',
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGKILL: 'killed',
  SIGPIPE: 'broken pipe',
  SIGSEGV: 'segmentation fault',
  SIGTERM: 'terminated',
};

/** Returns the words for a signal (`terminated`); the name of one that rarely ends a program. */
export function signalWords(signal: NodeJS.Signals): string {
  return WORDS[signal] ?? signal;
}
