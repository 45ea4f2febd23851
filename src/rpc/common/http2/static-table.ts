/**
 * The static table of HPACK (RFC 7541, appendix A), from index 1: names, and values where there are
 * any.
 */
const ENTRIES = [
  ':authority',
  ':method=GET',
  ':method=POST',
  ':path=/',
  ':path=/index.html',
  ':scheme=http',
  ':scheme=https',
  ':status=200',
  ':status=204',
  ':status=206',
  ':status=304',
  ':status=400',
  ':status=404',
  ':status=500',
  'accept-charset',
  'accept-encoding=gzip, deflate',
  'accept-language',
  'accept-ranges',
  'accept',
  'access-control-allow-origin',
  'age',
  'allow',
  'authorization',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'etag',
  'expect',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'link',
  'location',
  'max-forwards',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'referer',
  'refresh',
  'retry-after',
  'server',
  'set-cookie',
  'strict-transport-security',
  'transfer-encoding',
  'user-agent',
  'vary',
  'via',
  'www-authenticate',
];

export interface StaticHeader {
  readonly name: string;
  readonly value: string;
}

/** The static table. Index 0 is not used. */
export const STATIC_TABLE: readonly (StaticHeader | undefined)[] = [
  undefined,
  ...ENTRIES.map((entry) => {
    const [name = '', value = ''] = entry.split('=');
    return { name, value };
  }),
];

/** Index of the first entry with a name. */
export const STATIC_INDEXES: ReadonlyMap<string, number> = new Map(
  STATIC_TABLE.flatMap((entry, index) =>
    entry === undefined ? [] : [[entry.name, index] as const],
  ).reverse(),
);

/** Bytes that each pair of a list counts in addition to its text (RFC 9113, section 6.5.2). */
export const PAIR_OVERHEAD_BYTES = 32;
