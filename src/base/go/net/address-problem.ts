/**
 * Returns the error text of the `net` package for a text that is not `HOST:PORT` with a port in
 * range; `undefined` for a good one. The host may be empty or in brackets.
 */
export function addressProblem(address: string): string | undefined {
  const port = /^(?:\[[^\]]*\]|[^:[\]]*):(\w+)$/.exec(address)?.[1];
  if (port === undefined)
    return address.includes(':')
      ? `address ${address}: too many colons in address`
      : `address ${address}: missing port in address`;
  return /^\d+$/.test(port) && Number(port) <= 65_535 ? undefined : `address ${address}: invalid port`;
}
