/**
 * Matches `scheme://user:password@host`, with an optional scheme. The host may be a name, an IPv4
 * or a bracketed IPv6 address.
 */
const WITH_USER = /([a-z][a-z0-9+\-.]*:\/\/)?[a-z0-9\-._~%!$&'()*+,;=:]+@(?=[a-z0-9\-._~%]|\[)/gi;

/** Replaces user and password in every URL of a text by `[FILTERED]`. */
export function maskUrlCredentials(text: string): string {
  return text.includes('@') ? text.replace(WITH_USER, '$1[FILTERED]@') : text;
}
