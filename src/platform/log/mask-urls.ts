/** `scheme://user:password@host`, the scheme being optional; the host may be a name, an IPv4 or a bracketed IPv6 address. */
const WITH_USER = /([a-z][a-z0-9+\-.]*:\/\/)?[a-z0-9\-._~%!$&'()*+,;=:]+@(?=[a-z0-9\-._~%]|\[)/gi;

/** Puts `[FILTERED]` in place of the user and password of every URL in a text. */
export function maskUrlCredentials(text: string): string {
  return text.includes('@') ? text.replace(WITH_USER, '$1[FILTERED]@') : text;
}
