/** True in `npm run soak`, which runs the long forms of tests. */
export const isSoak = process.env.GITALY_SOAK === '1';

/**
 * Returns a test's extent: a number from the environment variable `name`, else `long` in the soak
 * and `short` in `npm test`.
 */
export function extent(
  name: string,
  { short, long }: { readonly short: number; readonly long: number },
): number {
  const given = process.env[name];
  if (given !== undefined && given !== '') return Number(given);
  return isSoak ? long : short;
}
