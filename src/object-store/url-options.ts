/** Known options of a kind of bucket. */
export interface KnownOptions {
  /** Kind in the URL, such as `s3`. */
  readonly kind: string;
  readonly taken: readonly string[];
  /**
   * Options without an effect here, such as settings of Go's libraries. `prefix` applies to all
   * kinds.
   */
  readonly ignored: readonly string[];
  /** Variables to which credentials in the URL belong instead. */
  readonly credentials: string;
}

/**
 * Returns the name of the bucket in a URL.
 *
 * @throws {Error} for a URL without bucket or with credentials, and for unknown options.
 */
export function requireBucketUrl(url: URL, { kind, taken, ignored, credentials }: KnownOptions): string {
  if (url.hostname === '') throw new Error(`the URL has no bucket: write ${kind}://bucket`);
  if (url.username !== '' || url.password !== '')
    throw new Error(`credentials do not belong in the URL: set ${credentials}`);
  for (const name of url.searchParams.keys())
    if (name !== 'prefix' && !taken.includes(name) && !ignored.includes(name))
      throw new Error(
        `unknown option ${JSON.stringify(name)}: this URL takes ${[...taken, 'prefix'].join(', ')}`,
      );
  return decodeURIComponent(url.hostname);
}

/**
 * Returns the value of the first of the names that is set, as Go's `strconv.ParseBool` reads it.
 */
export function booleanOption(options: URLSearchParams, ...names: readonly string[]): boolean {
  const name = names.find((each) => options.has(each));
  return name !== undefined && parseBoolean(name, options.get(name) ?? '');
}

/** Parses a value as Go's `strconv.ParseBool` does. @throws {Error} that names the option. */
export function parseBoolean(name: string, value: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw new Error(`${name} is true or false; not ${JSON.stringify(value)}`);
}
