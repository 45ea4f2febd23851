import { Secret } from '#base/secret';

/** Parsed `Authorization` header. */
export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: Secret }
  | { readonly kind: 'bearer'; readonly token: Secret }
  /** Another scheme, or not well-formed. */
  | { readonly kind: 'unusable' };

/**
 * Parses the header of a request. Names and passwords are UTF-8 (RFC 7617); a name ends at the
 * first colon.
 */
export function parseCredentials(authorization: string | undefined): Credentials {
  if (authorization === undefined) return { kind: 'none' };
  const [, scheme = '', value = ''] = /^([a-z]+) +([\w.~+/=-]+)$/i.exec(authorization) ?? [];
  switch (scheme.toLowerCase()) {
    case 'basic':
      return basic(value);
    case 'bearer':
      return { kind: 'bearer', token: new Secret(value) };
    default:
      return { kind: 'unusable' };
  }
}

function basic(encoded: string): Credentials {
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  if (colon === -1) return { kind: 'unusable' };
  return { kind: 'basic', username: text.slice(0, colon), password: new Secret(text.slice(colon + 1)) };
}

/** Returns the token, or the password of any name; `undefined` if there is none. */
export function secretIn(credentials: Credentials): Secret | undefined {
  if (credentials.kind === 'bearer') return credentials.token;
  return credentials.kind === 'basic' ? credentials.password : undefined;
}
