/** An expression that may take long, for a reason that makes it harmless. */
export interface ExpressionException {
  readonly file: string;
  /** `undefined` for those of the file that are made at run time. */
  readonly pattern: RegExp | undefined;
  /** Most bytes that it is applied to. */
  readonly maxBytes: number;
  /** Where its input comes from. */
  readonly from: string;
}

export const EXCEPTIONS: readonly ExpressionException[] = [
  {
    file: 'src/domain/housekeeping/stale-data/config-file.ts',
    pattern: undefined,
    maxBytes: 256 << 10,
    from: 'two constants of clean-stale-data.ts, on keys of a config file that the server writes',
  },
  {
    file: 'src/gateway/ssh/keys/authorized-keys.ts',
    pattern:
      /^(?:(?<options>(?:[^\s"]|"(?:\\.|[^"\\])*")+)[ \t]+)?(?<type>(?:ssh|ecdsa|sk)-[\w@.-]+)[ \t]+(?<data>[A-Za-z0-9+/]+={0,2})(?:[ \t]+(?<comment>.*))?$/,
    maxBytes: 16 << 10,
    from: 'a line of the operator’s key file; longer ones are refused',
  },
  {
    file: 'src/git/diff/parse/raw-line.ts',
    pattern: undefined,
    maxBytes: 1 << 20,
    from: 'a line of git, which has two tabs at most; made of constants',
  },
  {
    file: 'src/git/objects/parse/repair-utf8.ts',
    pattern: undefined,
    maxBytes: 64 << 20,
    from: 'one character class, made of constants',
  },
  {
    file: 'src/platform/metrics/process-metrics.ts',
    pattern: undefined,
    maxBytes: 64 << 10,
    from: '/proc, with names that are constants',
  },
  {
    file: 'src/platform/process/handover/inherited-sockets.ts',
    pattern: undefined,
    maxBytes: 16 << 20,
    from: '/proc/net/unix, with a number',
  },
];
