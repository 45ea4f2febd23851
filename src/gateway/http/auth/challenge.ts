import type { Answer } from '../answer.ts';

/**
 * Response that requests a name and a password; git and browsers then use stored ones or prompt
 * their user.
 */
export const SIGN_IN: Answer = challenge('Sign in with a name and a password, or a token.');

/** The same response for an unknown name, a wrong password and an invalid header. */
export const WRONG_CREDENTIALS: Answer = challenge('The name, password or token is wrong.');

/** Only for the holder of a token with a valid signature. */
export const EXPIRED_TOKEN: Answer = challenge('The token has expired. Ask for a new one.');

export const READ_ONLY: Answer = {
  status: 403,
  text: 'You may read this repository, but not push to it.',
};

export function challenge(text: string): Answer {
  return { status: 401, text, headers: { 'WWW-Authenticate': 'Basic realm="git", charset="UTF-8"' } };
}
