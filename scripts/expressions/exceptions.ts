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
    file: 'src/base/go/private-key-pem.ts',
    pattern: /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----/,
    maxBytes: 64 << 10,
    from: 'a key file of the operator',
  },
  {
    file: 'src/cli/usage.ts',
    pattern: /^error: option '(?:-\w, )?(-+[\w-]+).*' argument missing$/,
    maxBytes: 64 << 10,
    from: 'the command line of the operator',
  },
  {
    file: 'src/domain/housekeeping/stale-data/config-file.ts',
    pattern: undefined,
    maxBytes: 256 << 10,
    from: 'two constants of clean-stale-data.ts, on keys of a config file that the server writes',
  },
  {
    file: 'src/domain/signing/ssh-key.ts',
    pattern: /^-----BEGIN OPENSSH PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----/,
    maxBytes: 64 << 10,
    from: 'a key file of the operator',
  },
  {
    file: 'src/gateway/ssh/keys/authorized-keys.ts',
    pattern:
      /^(?:(?<options>(?:[^\s"]|"(?:\\.|[^"\\])*")+)[ \t]+)?(?<type>(?:ssh|ecdsa|sk)-[\w@.-]+)[ \t]+(?<data>[A-Za-z0-9+/]+={0,2})(?:[ \t]+(?<comment>.*))?$/,
    maxBytes: 64 << 10,
    from: 'a key file of the operator',
  },
  {
    file: 'src/git/diff/raw-line.ts',
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
    file: 'src/platform/config/toml-position.ts',
    pattern: /^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?/,
    maxBytes: 1 << 20,
    from: 'the configuration file of the operator',
  },
  {
    file: 'src/platform/metrics/process-metrics.ts',
    pattern: undefined,
    maxBytes: 64 << 10,
    from: '/proc, with names that are constants',
  },
  {
    file: 'src/platform/process/handover/socket-names.ts',
    pattern: undefined,
    maxBytes: 16 << 20,
    from: '/proc/net/unix, with a number',
  },
  {
    file: 'src/platform/process/private-programs.ts',
    pattern: /(?:\bfrom\s*|\bimport\s*\(?\s*)['"](?<specifier>[^'"\s]+)['"]/,
    maxBytes: 4 << 20,
    from: 'the package’s own compiled code',
  },
  {
    file: 'src/tools/import/git-error-text.ts',
    pattern: /^(Receiving|Resolving|Writing|Counting|Compressing) .*\d+%/,
    maxBytes: 64 << 10,
    from: 'the error output of git in an import, for the person who started it',
  },
];
