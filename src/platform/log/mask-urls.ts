import { trimmedEnd } from '#base/trim';

/** Characters of a user and a password; a scheme and its slashes end them. */
const USER = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;=:";
/** Start of a host: a name, an IPv4 or a bracketed IPv6 address. */
const HOST = /^[a-z0-9\-._~%[]/i;

/** Replaces user and password in every URL of a text by `[FILTERED]`; the scheme is optional. */
export function maskUrlCredentials(text: string): string {
  const pieces = text.split('@');
  return pieces
    .map((piece, index) => {
      const before = HOST.test(pieces[index + 1] ?? '') ? trimmedEnd(piece, USER) : piece;
      return before.length < piece.length ? `${before}[FILTERED]` : piece;
    })
    .join('@');
}
